package memfs

import (
	"bytes"
	"errors"
	"io/fs"

	"github.com/dirlock/dirlock/fsys"
)

// What a store does in which files hang on leases: see [Leased].

// Swap implements [fsys.Swapper].
func (d dir) Swap(name string, old fsys.Snapshot, data []byte) (fsys.File, error) {
	f := &file{dir: d, data: bytes.Clone(data)}
	err := d.do(Op{Name: "swap", File: name}, func(n *node, c *config) error {
		there := n.entries[name]
		switch {
		case !c.leased:
			return errors.ErrUnsupported
		case !valid(name) || len(data) > fsys.MaxData:
			return fs.ErrInvalid
		case there == nil:
			return fs.ErrNotExist
		case old.ID != fsys.ID{1, there.ino, there.change}:
			return fs.ErrExist
		}
		f.publish(n, name, c)
		return nil
	})
	return f.published(err)
}

// Remove implements [fsys.Remover].
func (f *file) Remove(name string) (removed bool, err error) {
	if f.ended == nil {
		return false, errors.ErrUnsupported
	}
	if f.given() {
		return false, nil // and the store is not asked
	}
	err = f.dir.do(Op{Name: "remove if", File: name}, func(n *node, _ *config) error {
		if !valid(name) {
			return fs.ErrInvalid
		}
		if removed = n.entries[name] == f.node && bytes.Equal(f.node.data, f.data); removed {
			f.dir.disk.files.take(n, name)
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return removed && err == nil, err
}

// given tells whether the file is not to be touched any more.
func (f *file) given() bool {
	f.dir.disk.files.mu.Lock()
	defer f.dir.disk.files.mu.Unlock()
	return f.lapsed || f.closed
}

// is tells whether the name is that of this file.
func (f *file) is(dir *node, name string) bool {
	return dir.entries[name] == f.node && bytes.Equal(f.node.data, f.data) && !f.lapsed
}

// Token implements [fsys.Tokener].
func (f *file) Token() (uint64, bool) { return f.node.ino, f.ended != nil }

// Ended implements [fsys.Ender].
func (f *file) Ended() <-chan struct{} { return f.ended }

// Lapse tells the owner of the file of that name that it must take its lease for
// ended, as when it cannot reach the store. The store has the file still.
func (d *Disk) Lapse(name string) { d.endLease("Lapse", name, false) }

// EndLease ends the lease that the file of that name hangs on: its owner is told, and
// the store removes the file.
func (d *Disk) EndLease(name string) { d.endLease("EndLease", name, true) }

func (d *Disk) endLease(what, name string, remove bool) {
	d.enter(what, name, func(dir *node, base string) error {
		n := dir.entries[base]
		if n == nil || !n.leased {
			return fs.ErrNotExist
		}
		n.creator.lapse()
		if remove {
			d.files.take(dir, base)
		}
		return nil
	})
}

// lapse tells the owner, once.
func (f *file) lapse() {
	if !f.lapsed {
		f.lapsed = true
		close(f.ended)
	}
}

// letGo ends the lease of a file, and removes it.
func (f *file) letGo() {
	if !f.node.leased {
		return
	}
	f.lapse()
	dir, err := f.dir.find()
	if err != nil {
		return
	}
	for name, n := range dir.entries {
		if n == f.node {
			f.dir.disk.files.take(dir, name)
		}
	}
}

// arrivesLater keeps a request until Arrive.
func (d dir) arrivesLater(op Op, f func(*node, *config) error) {
	d.disk.files.mu.Lock()
	defer d.disk.files.mu.Unlock()
	d.disk.files.late = append(d.disk.files.late, func() { _ = d.locked(op, f) })
}

// Arrive does what was held up by [ButLater], in the order of the calls, or only the
// n-th of them, counted from 0. It returns how many there were.
func (d *Disk) Arrive(n ...int) int {
	d.files.mu.Lock()
	late := d.files.late
	d.files.late = nil
	if len(n) == 1 {
		d.files.late = append(append(d.files.late, late[:n[0]]...), late[n[0]+1:]...)
		late = late[n[0] : n[0]+1]
	}
	d.files.mu.Unlock()
	for _, f := range late {
		f()
	}
	return len(late)
}
