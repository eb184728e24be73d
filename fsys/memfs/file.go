package memfs

import (
	"bytes"
	"errors"
	"io/fs"
	"slices"
	"time"

	"github.com/dirlock/dirlock/fsys"
)

// file is a file that a process has created.
type file struct {
	dir    dir
	node   *node
	data   []byte
	lock   *flock
	closed bool
	ended  chan struct{} // closed when the lease ends; nil without one
	lapsed bool          // it is closed
	nobody bool          // whoever asked for it does not wait any more
}

// publish gives a new file its name.
func (f *file) publish(dir *node, name string, c *config) {
	files := f.dir.disk.files
	f.node = files.newNode(0)
	f.node.data = bytes.Clone(f.data)
	if c.leased {
		f.node.leased, f.node.creator = true, f
		f.ended = make(chan struct{})
	} else if c.witness != fsys.NoWitness {
		f.lock = &flock{f.dir.view, c, c.witness}
		f.node.locks = append(f.node.locks, f.lock)
	}
	files.put(dir, name, f.node)
	if f.closed = f.nobody; !f.closed {
		files.open[f] = f.dir.view
	}
}

// published returns f, unless the operation that was to publish it has failed.
func (f *file) published(err error) (fsys.File, error) {
	if err == nil {
		return f, nil
	}
	f.dir.disk.files.mu.Lock()
	f.nobody = f.node == nil
	f.dir.disk.files.mu.Unlock()
	if !f.nobody { // it is done, and fails all the same
		f.release()
	}
	return nil, err
}

// Intact implements [fsys.File].
func (f *file) Intact(name string) (ok bool, err error) {
	err = f.dir.do(Op{Name: "intact", File: name}, func(n *node, _ *config) error {
		switch {
		case f.closed:
			return fs.ErrClosed
		case !valid(name):
			return fs.ErrInvalid
		}
		ok = f.is(n, name)
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) { // not even the directory is there
		return false, nil
	}
	return ok && err == nil, err
}

// Place implements [fsys.Placer].
func (f *file) Place(name string) (place fsys.Place, err error) {
	ok, err := f.Intact(name)
	if f.dir.open == nil || err != nil {
		if ok {
			place = fsys.Here
		}
		return place, err
	}
	f.dir.disk.files.mu.Lock()
	defer f.dir.disk.files.mu.Unlock()
	named, err := f.dir.disk.files.findDir(f.dir.path)
	switch {
	case err == nil && named != f.dir.open.node:
		return fsys.Replaced, nil
	case !ok:
		return fsys.Gone, nil
	case err != nil:
		return fsys.Moved, nil
	}
	return fsys.Here, nil
}

// Close implements [fsys.File]. Even if it fails it lets go, as close(2) does.
func (f *file) Close() error {
	done, err := f.dir.begin(Op{Name: "close", Dir: f.dir.Path()})
	if !f.release() {
		err = fs.ErrClosed
	}
	if err = errors.Join(err, done); err != nil {
		return pathError("close", f.dir.path, err)
	}
	return nil
}

// release lets go of the file, and returns whether it was open.
func (f *file) release() bool {
	f.dir.disk.files.mu.Lock()
	defer f.dir.disk.files.mu.Unlock()
	was := !f.closed
	f.closed = true
	f.letGo()
	f.node.locks = slices.DeleteFunc(f.node.locks, func(l *flock) bool { return l == f.lock })
	delete(f.dir.disk.files.open, f)
	return was
}

// watch is what waits for a change of a file.
type watch struct {
	conf *config
	c    chan struct{}
}

// Watch implements [fsys.Watcher].
func (d dir) Watch(name string) (changed <-chan struct{}, stop func(), err error) {
	return d.watch(name, func(n *node) (*node, error) {
		if !valid(name) {
			return nil, fs.ErrInvalid
		}
		return n.entries[name], nil
	})
}

// WatchMove implements [fsys.MoveWatcher].
func (d dir) WatchMove() (moved <-chan struct{}, stop func(), err error) {
	return d.watch(".", func(n *node) (*node, error) { return n, nil })
}

// watch watches a file of any kind, which it finds by the directory's.
func (d dir) watch(name string, find func(n *node) (*node, error)) (changed <-chan struct{}, stop func(), err error) {
	w := &watch{c: make(chan struct{}, 1)}
	var file *node
	files := d.disk.files
	stop = func() {
		files.mu.Lock()
		defer files.mu.Unlock()
		file.watches = slices.DeleteFunc(file.watches, func(x *watch) bool { return x == w })
		delete(files.open, w)
	}
	err = d.do(Op{Name: "watch", File: name}, func(n *node, c *config) error {
		found, err := find(n)
		switch {
		case err != nil:
			return err
		case c.noEvents:
			return errors.ErrUnsupported
		case found == nil:
			return fs.ErrNotExist
		}
		w.conf, file = c, found
		file.watches = append(file.watches, w)
		files.open[w] = d.view
		return nil
	})
	if err != nil {
		if file != nil {
			stop()
		}
		return nil, nil, err
	}
	return w.c, stop, nil
}

// wake tells everybody who watches the file that something has become of it.
func (n *node) wake() {
	for _, w := range n.watches {
		switch {
		case w.conf.lost:
		case w.conf.late > 0:
			time.AfterFunc(w.conf.late, w.wake)
		default:
			w.wake()
		}
	}
}

func (w *watch) wake() {
	select {
	case w.c <- struct{}{}:
	default:
	}
}

// prepared is a file that has no name yet.
type prepared struct {
	dir  dir
	used bool
}

// Prepare implements [fsys.Preparer].
func (d dir) Prepare(int) (fsys.Prepared, error) {
	p := &prepared{dir: d}
	err := d.do(Op{Name: "prepare"}, func(_ *node, c *config) error {
		if c.noPrepare {
			return errors.ErrUnsupported
		}
		d.disk.files.open[p] = d.view
		return nil
	})
	if err != nil {
		_ = p.Close()
		return nil, err
	}
	return p, nil
}

// CreateIn implements [fsys.Prepared].
func (p *prepared) CreateIn(d fsys.Dir, name string, data []byte) (fsys.File, error) {
	if p.used {
		return nil, pathError("create", p.dir.path+"/"+name, fs.ErrClosed)
	}
	f, err := d.Create(name, data)
	if !errors.Is(err, fs.ErrExist) && !errors.Is(err, fsys.ErrBusy) {
		_ = p.Close()
	}
	return f, err
}

// Close implements [fsys.Prepared].
func (p *prepared) Close() error {
	p.dir.disk.files.mu.Lock()
	defer p.dir.disk.files.mu.Unlock()
	p.used = true
	delete(p.dir.disk.files.open, p)
	return nil
}
