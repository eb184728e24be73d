package memfs

import (
	"errors"
	"io/fs"

	"github.com/dirlock/dirlock/fsys"
)

// subdir is a directory that was opened by its name in another one.
type subdir struct {
	opened
	parent dir
	name   string
}

var (
	_ fsys.Nester = named{}
	_ fsys.Nester = opened{}
	_ fsys.Subdir = subdir{}
)

// MakeDir implements [fsys.Nester].
func (d dir) MakeDir(name string) error {
	return d.do(Op{Name: "mkdir", File: name}, func(n *node, c *config) error {
		switch {
		case !valid(name):
			return fs.ErrInvalid
		case c.noNesting:
			return errors.ErrUnsupported
		case n.entries[name] != nil:
			return fs.ErrExist
		}
		made := d.disk.files.newNode(fs.ModeDir)
		made.conf = n.conf
		d.disk.files.put(n, name, made)
		return nil
	})
}

// OpenDir implements [fsys.Nester].
func (d dir) OpenDir(name string) (fsys.Subdir, error) {
	s := subdir{opened{dir{d.view, d.path + "/" + name, &openNode{}}}, d, name}
	err := d.do(Op{Name: "open", File: name}, func(n *node, c *config) error {
		sub, err := n.subdir(name, c)
		if err != nil {
			return err
		}
		s.open.node = sub
		d.disk.files.open[s.open] = d.view
		return nil
	})
	if err != nil {
		s.release()
		return nil, err
	}
	return s, nil
}

// RemoveDir implements [fsys.Nester].
func (d dir) RemoveDir(name string) error {
	return d.do(Op{Name: "rmdir", File: name}, func(n *node, c *config) error {
		sub, err := n.subdir(name, c)
		switch {
		case err != nil:
			return err
		case len(sub.entries) > 0:
			return fsys.ErrNotEmpty
		}
		d.disk.files.removeAll(n, name)
		return nil
	})
}

// subdir finds a directory in another one.
func (n *node) subdir(name string, c *config) (*node, error) {
	switch sub := n.entries[name]; {
	case !valid(name):
		return nil, fs.ErrInvalid
	case c.noNesting:
		return nil, errors.ErrUnsupported
	case sub == nil:
		return nil, fs.ErrNotExist
	case !sub.mode.IsDir():
		return nil, fsys.ErrNotDirectory
	default:
		return sub, nil
	}
}

// Named implements [fsys.Subdir].
func (s subdir) Named() (is bool, err error) {
	err = s.parent.do(Op{Name: "named", File: s.name}, func(n *node, _ *config) error {
		is = n.entries[s.name] == s.open.node
		return nil
	})
	return is && err == nil, err
}
