package osfs

import (
	"errors"

	"github.com/dirlock/dirlock/fsys"
)

// Each system provides, beside what dir.go says:
//
//	(*dir).makeDir(name)          with the permissions of d
//	(*dir).openDir(name)          without following a link
//	(*dir).removeDir(name)        if it is empty
//	(*dir).stillNamed(name, sub)  whether the name in d is that directory

// subdir is a directory in another one. Only Named needs that one.
type subdir struct {
	*dir
	parent *dir
	name   string
	owned  bool // the parent was opened for it
}

var (
	_ fsys.Nester = (*dir)(nil)
	_ fsys.Subdir = (*subdir)(nil)
)

// MakeDir implements [fsys.Nester].
func (d *dir) MakeDir(name string) error { return d.inName("mkdir", name, d.makeDir) }

// RemoveDir implements [fsys.Nester].
func (d *dir) RemoveDir(name string) error { return d.inName("rmdir", name, d.removeDir) }

func (d *dir) inName(op, name string, do func(name string) error) error {
	err := d.beginFile(name)
	if err == nil {
		err = do(name)
		d.end()
	}
	if err != nil {
		return pathError(op, d.prefix+name, err)
	}
	return nil
}

// OpenDir implements [fsys.Nester].
func (d *dir) OpenDir(name string) (fsys.Subdir, error) {
	s, err := d.openSubdir(name)
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (d *dir) openSubdir(name string) (*subdir, error) {
	s := &subdir{parent: d, name: name}
	err := d.inName("open", name, func(name string) error {
		sub, err := d.openDir(name)
		s.dir = sub
		return err
	})
	if err != nil {
		return nil, err
	}
	s.path = d.prefix + name
	s.prefix = withSeparator(s.path)
	s.memory = d.memory
	return s, nil
}

// Named implements [fsys.Subdir].
func (s *subdir) Named() (bool, error) {
	is := false
	err := s.parent.inName("open", s.name, func(name string) (err error) {
		if err = s.begin(); err != nil {
			return err
		}
		defer s.end()
		is, err = s.parent.stillNamed(name, s.dir)
		return err
	})
	return is, err
}

// Create says that there is no such directory if a file server does not know it
// any more.
func (s *subdir) Create(name string, data []byte) (fsys.File, error) {
	f, err := s.createChecked(name, data)
	if err != nil {
		return nil, pathError("create", s.prefix+name, missingDir(err))
	}
	return f, nil
}

// Close implements [fsys.OpenDir].
func (s *subdir) Close() error {
	err := s.dir.Close()
	if s.owned {
		err = errors.Join(err, s.parent.Close())
	}
	return err
}
