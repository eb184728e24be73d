package osfs

import (
	"os"
	"path/filepath"

	"github.com/dirlock/dirlock/fsys"
)

const (
	supported = true
	held      = false
)

// handle is nothing: all goes by the path of the directory.
type handle struct{}

func (handle) close() error { return nil }

// newDir makes the name absolute and follows its links, once. A part that does
// not exist yet stays as it is.
func newDir(name string) (fsys.Dir, error) {
	path, err := filepath.Abs(name) // The system strikes out "..", too.
	if err != nil {
		return nil, err
	}
	path = resolve(path)
	return &dir{path: path, prefix: withSeparator(path), memory: &memory{}}, nil
}

func resolve(name string) string {
	missing := ""
	for path := name; ; {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			return filepath.Join(real, missing)
		}
		parent, last := filepath.Dir(path), filepath.Base(path)
		if parent == path {
			return name
		}
		path, missing = parent, filepath.Join(last, missing)
	}
}

var _ fsys.Maker = (*dir)(nil)

// Mkdir implements [fsys.Maker].
func (d *dir) Mkdir() error { return mkdirError(d.path, os.MkdirAll(d.path, 0o777)) }

func (d *dir) entries() (*os.File, error) { return os.Open(d.path) }
