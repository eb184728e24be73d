//go:build !unix

package fsystest_test

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/dirlock/dirlock/fsys/fsystest"
)

// foreign does to the real file system what other programs do.
func foreign(kind fsystest.Kind, dir, name string) error {
	path := filepath.Join(dir, name)
	switch kind {
	case fsystest.Directory:
		return os.Mkdir(path, 0o755)
	case fsystest.Huge:
		return os.WriteFile(path, make([]byte, 1<<20), 0o644)
	case fsystest.Moved:
		return os.Rename(path, path+".moved")
	case fsystest.Overwritten:
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = f.WriteString("foreign")
		return errors.Join(err, f.Close())
	}
	return errors.ErrUnsupported
}
