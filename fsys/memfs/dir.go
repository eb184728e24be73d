package memfs

import (
	"bytes"
	"errors"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/dirlock/dirlock/fsys"
)

// dir is a directory as a process sees it: one that is open, or the one that has
// the name now.
type dir struct {
	view
	path string
	open *openNode // nil: by its name
}

type openNode struct {
	node   *node
	closed bool
}

// named is a directory by its name.
type named struct{ dir }

// opened is a directory that is open.
type opened struct{ dir }

var (
	_ fsys.Opener      = named{}
	_ fsys.Maker       = named{}
	_ fsys.Witnesser   = named{}
	_ fsys.Localizer   = named{}
	_ fsys.Watcher     = named{}
	_ fsys.Preparer    = named{}
	_ fsys.OpenDir     = opened{}
	_ fsys.MoveWatcher = named{}
	_ fsys.MoveWatcher = opened{}
	_ fsys.Placer      = (*file)(nil)
	_ fsys.Witnesser   = opened{}
	_ fsys.Localizer   = opened{}
	_ fsys.Watcher     = opened{}
	_ fsys.Preparer    = opened{}
	_ fsys.Swapper     = named{}
	_ fsys.Swapper     = opened{}
	_ fsys.Remover     = (*file)(nil)
	_ fsys.Tokener     = (*file)(nil)
	_ fsys.Ender       = (*file)(nil)
	_ fsys.FS          = (*Disk)(nil)
	_ fsys.FS          = view{}
	_ fsys.File        = (*file)(nil)
	_ fsys.Prepared    = (*prepared)(nil)
)

// Path returns the path by which the directory was found, even if it has been
// moved since.
func (d dir) Path() string { return filepath.FromSlash(d.path) }

// do carries out one operation: f is called with the directory, and with what
// the file system can do there.
func (d dir) do(op Op, f func(n *node, c *config) error) error {
	op.Dir = d.Path()
	done, err := d.begin(op)
	switch later, isLater := done.(butLater); {
	case isLater:
		d.arrivesLater(op, f)
		err = later.error
	case err == nil:
		if err = d.locked(op, f); err == nil {
			err = done
		}
	}
	if err == nil {
		return nil
	}
	name := op.File
	if op.To != "" {
		name = op.To
	}
	if op.Name == "list" {
		name = ""
	}
	return pathError(op.Name, path.Join(d.path, name), err)
}

func (d dir) locked(op Op, f func(n *node, c *config) error) error {
	d.disk.files.mu.Lock()
	defer d.disk.files.mu.Unlock()
	n, err := d.find()
	if err != nil {
		return err
	}
	c := n.conf
	if c == nil {
		c = d.disk.conf
	}
	return f(n, c)
}

func (d dir) find() (*node, error) {
	switch {
	case d.open == nil:
		return d.disk.files.findDir(d.path)
	case d.open.closed:
		return nil, fs.ErrClosed
	case d.open.node.removed:
		return nil, fs.ErrNotExist
	}
	return d.open.node, nil
}

// Open implements [fsys.Opener].
func (d named) Open() (fsys.OpenDir, error) {
	o := opened{dir{d.view, d.path, &openNode{}}}
	err := d.do(Op{Name: "open", File: "."}, func(n *node, _ *config) error {
		o.open.node = n
		d.disk.files.open[o.open] = d.view
		return nil
	})
	if err != nil {
		o.release()
		return nil, err
	}
	return o, nil
}

// Mkdir implements [fsys.Maker]. It follows no links.
func (d named) Mkdir() error {
	done, err := d.begin(Op{Name: "mkdir", Dir: d.Path()})
	if err == nil {
		d.disk.files.mu.Lock()
		err = d.disk.files.mkdirAll(d.path)
		d.disk.files.mu.Unlock()
	}
	if err = errors.Join(err, done); err != nil {
		return pathError("mkdir", d.path, err)
	}
	return nil
}

// Close implements [fsys.OpenDir].
func (d opened) Close() error {
	done, err := d.begin(Op{Name: "close", Dir: d.Path(), File: "."})
	if !d.release() {
		err = fs.ErrClosed
	}
	if err = errors.Join(err, done); err != nil {
		return pathError("close", d.path, err)
	}
	return nil
}

func (d opened) release() bool {
	d.disk.files.mu.Lock()
	defer d.disk.files.mu.Unlock()
	was := !d.open.closed
	d.open.closed = true
	delete(d.disk.files.open, d.open)
	return was
}

// Create implements [fsys.Dir].
func (d dir) Create(name string, data []byte) (fsys.File, error) {
	f := &file{dir: d, data: bytes.Clone(data)}
	err := d.do(Op{Name: "create", File: name}, func(n *node, c *config) error {
		if !valid(name) || len(data) > fsys.MaxData {
			return fs.ErrInvalid
		}
		if n.entries[name] != nil {
			return fs.ErrExist
		}
		f.publish(n, name, c)
		return nil
	})
	return f.published(err)
}

// Read implements [fsys.Dir].
func (d dir) Read(name string) (fsys.Snapshot, error) {
	var s fsys.Snapshot
	var file *node
	var mount *config
	err := d.do(Op{Name: "read", File: name}, func(n *node, c *config) error {
		if !valid(name) {
			return fs.ErrInvalid
		}
		file = n.entries[name]
		switch {
		case file == nil:
			return fs.ErrNotExist
		case file.mode.IsDir():
			return fsys.ErrDirectory
		case !file.mode.IsRegular():
			return fsys.ErrNotRegular
		}
		s.Data = bytes.Clone(file.data[:min(len(file.data), fsys.MaxData)])
		if !c.noIDs {
			s.ID = fsys.ID{1, file.ino, file.change}
		}
		switch {
		case c.leased && file.leased:
			s.Witness = fsys.Leased
		case c.leased:
			s.Witness = fsys.Ended
		case c.witness != fsys.NoWitness:
			mount = c
		}
		return nil
	})
	if err != nil {
		return fsys.Snapshot{}, err
	}
	if mount == nil {
		return s, nil
	}
	if _, err := d.begin(Op{Name: "witness", Dir: d.Path(), File: name}); err != nil {
		return s, nil
	}
	d.disk.files.mu.Lock()
	locks := slices.Clone(file.locks)
	d.disk.files.mu.Unlock()
	s.Witness = held(locks, d.view, mount)
	return s, nil
}

// Replace implements [fsys.Dir]. It is rename(2): two names of one file both
// stay.
func (d dir) Replace(oldname, newname string) error {
	return d.do(Op{Name: "replace", File: oldname, To: newname}, func(n *node, c *config) error {
		switch {
		case !valid(oldname) || !valid(newname):
			return fs.ErrInvalid
		case c.noReplace:
			return errors.ErrUnsupported
		}
		return d.disk.files.rename(n, oldname, n, newname)
	})
}

// Remove implements [fsys.Dir].
func (d dir) Remove(name string) error {
	return d.do(Op{Name: "remove", File: name}, func(n *node, _ *config) error {
		switch file := n.entries[name]; {
		case !valid(name):
			return fs.ErrInvalid
		case file == nil:
			return fs.ErrNotExist
		case file.mode.IsDir():
			return syscall.EISDIR
		}
		d.disk.files.take(n, name)
		return nil
	})
}

// List implements [fsys.Dir]. The order is always the same, and not a useful
// one.
func (d dir) List(prefix string) (names []string, err error) {
	err = d.do(Op{Name: "list", File: prefix}, func(n *node, _ *config) error {
		for _, name := range slices.Backward(slices.Sorted(maps.Keys(n.entries))) {
			if strings.HasPrefix(name, prefix) {
				names = append(names, name)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return names, nil
}

// Witnesses implements [fsys.Witnesser].
func (d dir) Witnesses() (kind fsys.Witness, err error) {
	err = d.do(Op{Name: "witnesses"}, func(_ *node, c *config) error {
		kind = c.witness
		return nil
	})
	if err != nil {
		return fsys.NoWitness, err
	}
	return kind, nil
}

// Locate implements [fsys.Localizer].
func (d dir) Locate() (l fsys.Location, err error) {
	err = d.do(Op{Name: "locate"}, func(_ *node, c *config) error {
		l = c.location
		return nil
	})
	if err != nil {
		return fsys.Location{}, err
	}
	return l, nil
}
