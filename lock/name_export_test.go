package lock

import "github.com/dirlock/dirlock/fsys"

// Prefixed returns a file system in which all names of files begin with a prefix.
func Prefixed(f fsys.FS, prefix string) fsys.FS { return prefixedFS{f, prefix} }

type prefixedFS struct {
	fsys.FS
	prefix string
}

func (f prefixedFS) Dir(name string) (fsys.Dir, error) {
	d, err := f.FS.Dir(name)
	if err != nil {
		return nil, err
	}
	return withPrefix(d, f.prefix), nil
}
