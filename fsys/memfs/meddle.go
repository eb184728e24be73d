package memfs

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"

	"github.com/dirlock/dirlock/fsys"
)

// What other programs, and people, do to the files. No hook is called for it, and
// watches see it. These methods panic if they are told to do something that is
// impossible, because then the test is wrong.

// Mkdir makes a directory, and those above it, unless they exist.
func (d *Disk) Mkdir(name string) {
	d.change("Mkdir", name, func() error { return d.files.mkdirAll(clean(name)) })
}

// cutFirst cuts the first name off a clean path.
func cutFirst(p string) (first, rest string) {
	for i := 1; i < len(p); i++ {
		if p[i] == '/' {
			return p[1:i], p[i:]
		}
	}
	return p[1:], "/"
}

// Put makes a file with that data, which nobody has open. If there is a file of
// that name, the new one takes its place.
func (d *Disk) Put(name string, data []byte) {
	d.enter("Put", name, func(dir *node, base string) error {
		n := d.files.newNode(0)
		n.data = bytes.Clone(data)
		return d.files.place(dir, base, n)
	})
}

// Special makes something that is not a regular file, such as fs.ModeNamedPipe or
// fs.ModeDevice. If there is a file of that name, it takes its place.
func (d *Disk) Special(name string, kind fs.FileMode) {
	d.enter("Special", name, func(dir *node, base string) error {
		return d.files.place(dir, base, d.files.newNode(kind.Type()))
	})
}

// Symlink makes a symbolic link. If there is a file of that name, the link takes
// its place.
func (d *Disk) Symlink(target, name string) {
	d.enter("Symlink", name, func(dir *node, base string) error {
		n := d.files.newNode(fs.ModeSymlink)
		n.target = target
		return d.files.place(dir, base, n)
	})
}

// Write writes other data into a file, which stays the same file. A shorter
// beginning of what is in it truncates it.
func (d *Disk) Write(name string, data []byte) {
	d.enter("Write", name, func(dir *node, base string) error {
		n := dir.entries[base]
		if n == nil {
			return fs.ErrNotExist
		}
		if !n.mode.IsRegular() {
			return fsys.ErrNotRegular
		}
		n.data, n.change, n.leased = bytes.Clone(data), d.files.next(), false
		n.wake()
		return nil
	})
}

// Link gives a file another name. If there is a file of that name, it loses it.
func (d *Disk) Link(name, another string) {
	d.enter("Link", name, func(dir *node, base string) error {
		n := dir.entries[base]
		if n == nil {
			return fs.ErrNotExist
		}
		to, newbase, err := d.files.parent(another)
		if err != nil {
			return err
		}
		return d.files.place(to, newbase, n)
	})
}

// Move gives a file or a directory another name. A file of that name is replaced.
// A process that has the directory open, or a file in it, still has.
func (d *Disk) Move(name, newname string) {
	d.enter("Move", name, func(dir *node, base string) error {
		to, newbase, err := d.files.parent(newname)
		if err != nil {
			return err
		}
		return d.files.rename(dir, base, to, newbase)
	})
}

// Remove removes a file, or a directory with all that is in it. It does nothing
// if there is no such file.
func (d *Disk) Remove(name string) {
	d.enter("Remove", name, func(dir *node, base string) error {
		d.files.removeAll(dir, base)
		return nil
	})
}

// MountOver mounts another file system, which is empty, over a directory. Unless
// the options say otherwise it can do what this one can, and its
// [fsys.Location.Mount] is another one. A process that has the covered directory
// open still uses that.
func (d *Disk) MountOver(name string, options ...Option) {
	conf := d.newConfig(options)
	d.enter("MountOver", name, func(dir *node, base string) error {
		n := dir.entries[base]
		if n == nil {
			return fs.ErrNotExist
		}
		over := d.files.newNode(fs.ModeDir)
		over.conf, over.covered = conf, n
		dir.entries[base] = over
		return nil
	})
}

// Unmount takes away what MountOver mounted.
func (d *Disk) Unmount(name string) {
	d.enter("Unmount", name, func(dir *node, base string) error {
		n := dir.entries[base]
		if n == nil || n.covered == nil {
			return fs.ErrInvalid
		}
		dir.entries[base] = n.covered
		return nil
	})
}

// Lock takes a lock on a file, [fsys.Held] or [fsys.HeldWeakly], as some other
// program on every machine that sees it by way of this disk. The lock stays on
// the file, wherever that goes, until unlock is called.
func (d *Disk) Lock(name string, kind fsys.Witness) (unlock func()) {
	l := &flock{view{d, nil}, d.conf, kind}
	var n *node
	d.enter("Lock", name, func(dir *node, base string) error {
		if n = dir.entries[base]; n == nil {
			return fs.ErrNotExist
		}
		if dir.conf != nil {
			l.mount = dir.conf
		}
		n.locks = append(n.locks, l)
		return nil
	})
	return func() {
		d.files.mu.Lock()
		defer d.files.mu.Unlock()
		n.locks = slices.DeleteFunc(n.locks, func(x *flock) bool { return x == l })
	}
}

// Entry is what a name in a directory stands for.
type Entry struct {
	// Mode is the type of the file.
	Mode fs.FileMode
	// Data is what is in a regular file.
	Data string
	// ID tells it from all other files.
	ID uint64
}

// Entries returns what is in a directory, by name. Two results are equal only if
// nobody has put one file in the place of another meanwhile.
func (d *Disk) Entries(name string) map[string]Entry {
	entries := map[string]Entry{}
	d.change("Entries", name, func() error {
		dir, err := d.files.findDir(clean(name))
		if err != nil {
			return err
		}
		for name, n := range dir.entries {
			entries[name] = Entry{n.mode, string(n.data), n.ino}
		}
		return nil
	})
	return entries
}

// Names returns the names in a directory, sorted, or nil if it is empty.
func (d *Disk) Names(name string) []string {
	return slices.Sorted(maps.Keys(d.Entries(name)))
}

// Usage counts what processes have open, except those that have ended.
type Usage struct {
	// Files were created, and not closed.
	Files int
	// Dirs were opened, and not closed.
	Dirs int
	// Prepared files are neither used up nor closed.
	Prepared int
	// Watches have not been stopped.
	Watches int
}

// Usage returns what is open: nothing, when all is done.
func (d *Disk) Usage() (u Usage) {
	d.files.mu.Lock()
	open := maps.Clone(d.files.open)
	d.files.mu.Unlock()
	for what, who := range open {
		if who.ended() {
			continue
		}
		switch what.(type) {
		case *file:
			u.Files++
		case *openNode:
			u.Dirs++
		case *prepared:
			u.Prepared++
		case *watch:
			u.Watches++
		}
	}
	return u
}

// change calls f with the mutex held, and panics if it fails.
func (d *Disk) change(what, name string, f func() error) {
	d.files.mu.Lock()
	defer d.files.mu.Unlock()
	if err := f(); err != nil {
		panic(fmt.Sprintf("memfs: %s of %s: %v", what, name, err))
	}
}

// enter calls f with the directory of a file, and its name there.
func (d *Disk) enter(what, name string, f func(dir *node, base string) error) {
	d.change(what, name, func() error {
		dir, base, err := d.files.parent(name)
		if err != nil {
			return err
		}
		return f(dir, base)
	})
}

// parent returns the directory that a path is in, and the name there.
func (f *files) parent(name string) (*node, string, error) {
	parent, base := path.Split(clean(name))
	if base == "" {
		return nil, "", fs.ErrInvalid
	}
	dir, err := f.findDir(path.Clean(parent))
	return dir, base, err
}

// place is put for all but directories, which cannot be replaced.
func (f *files) place(dir *node, name string, n *node) error {
	if there := dir.entries[name]; there != nil && there.mode.IsDir() {
		return fs.ErrExist
	}
	f.put(dir, name, n)
	return nil
}
