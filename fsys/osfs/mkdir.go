package osfs

import (
	"errors"
	"io/fs"
)

// mkdirError says which directory was to be made. One above it may be what is
// wrong: then that is named as well.
func mkdirError(path string, err error) error {
	var inner *fs.PathError
	if err == nil {
		return nil
	}
	if errors.As(err, &inner) && inner.Path == path {
		err = inner.Err
	}
	return pathError("mkdir", path, err)
}
