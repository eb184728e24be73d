package aferofs

import (
	"errors"
	"io/fs"

	"github.com/dirlock/dirlock/fsys"
)

var _ fsys.Nester = (*memDir)(nil)

// subdir is a directory in another one. It goes by its path.
type subdir struct{ *memDir }

var _ fsys.Subdir = subdir{}

// MakeDir implements [fsys.Nester].
func (d *memDir) MakeDir(name string) error {
	memory.Lock()
	defer memory.Unlock()
	path, err := d.join(name)
	if err == nil {
		err = d.makeDir(path)
	}
	if err != nil {
		return pathError("mkdir", path, err)
	}
	return nil
}

func (d *memDir) makeDir(path string) error {
	// MemMapFs would make the missing directory above it.
	parent, err := d.afs.Stat(d.path)
	if err == nil {
		err = d.check()
	}
	if err != nil {
		return err
	}
	if _, err := d.afs.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		if err == nil {
			err = fs.ErrExist
		}
		return err
	}
	return d.afs.Mkdir(path, parent.Mode().Perm())
}

// OpenDir implements [fsys.Nester].
func (d *memDir) OpenDir(name string) (fsys.Subdir, error) {
	memory.Lock()
	defer memory.Unlock()
	sub, err := d.subdir(name)
	if err != nil {
		return nil, pathError("open", sub.path, err)
	}
	return subdir{sub}, nil
}

func (d *memDir) subdir(name string) (*memDir, error) {
	path, err := d.join(name)
	sub := &memDir{afs: d.afs, path: path}
	if err != nil {
		return sub, err
	}
	info, err := d.afs.Stat(path)
	if err == nil && !info.IsDir() {
		err = fsys.ErrNotDirectory
	}
	return sub, err
}

// RemoveDir implements [fsys.Nester]. MemMapFs removes a directory with all that
// is in it, so this looks first: adapters take turns.
func (d *memDir) RemoveDir(name string) error {
	memory.Lock()
	defer memory.Unlock()
	sub, err := d.subdir(name)
	if err == nil {
		var names []string
		names, err = sub.list("")
		if err == nil && len(names) > 0 {
			err = fsys.ErrNotEmpty
		}
	}
	if err == nil {
		err = d.afs.Remove(sub.path)
	}
	if err != nil {
		return pathError("rmdir", sub.path, err)
	}
	return nil
}

// Named implements [fsys.Subdir].
func (s subdir) Named() (bool, error) {
	memory.Lock()
	defer memory.Unlock()
	info, err := s.afs.Stat(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, pathError("open", s.path, err)
	}
	return info.IsDir(), nil
}

// Close implements [fsys.OpenDir].
func (subdir) Close() error { return nil }
