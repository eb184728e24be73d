package osfs

import (
	"encoding/binary"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/dirlock/dirlock/fsys"
)

// watcher is an inotify instance (inotify(7)). This is not done with package
// fsnotify, which cannot choose events: of a directory it would tell of every
// write to every file there. A second instance for directories is not wanted
// either, for a user has 128 of them.
type watcher struct {
	fd     int
	file   *os.File // of fd
	byName map[string]int32
	names  map[int32]string
	done   chan struct{} // closed when there is nothing left of it
}

// change is an event of what has that number.
type change struct {
	number int32
	mask   uint32
}

const (
	// Of a file: it was written to, has got or lost a name, was removed or renamed.
	fileEvents = unix.IN_MODIFY | unix.IN_ATTRIB | unix.IN_DELETE_SELF | unix.IN_MOVE_SELF | unix.IN_DONT_FOLLOW
	// Of a directory: it was moved.
	moveEvents = unix.IN_MOVE_SELF | unix.IN_ONLYDIR
	// There will be no more of them.
	lastEvents = unix.IN_DELETE_SELF | unix.IN_IGNORED | unix.IN_UNMOUNT
)

func newWatcher() (*watcher, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, err
	}
	return &watcher{fd, os.NewFile(uintptr(fd), "inotify"), map[string]int32{}, map[int32]string{}, make(chan struct{})}, nil
}

func (w *watcher) close() { _ = w.file.Close() }

// run hands out events until the watcher is closed.
func (w *watcher) run(changed func(change), lost func()) {
	go func() {
		defer close(w.done)
		buf := make([]byte, 4096)
		for {
			n, err := w.file.Read(buf)
			if err != nil {
				return
			}
			for at := 0; at+unix.SizeofInotifyEvent <= n; {
				number := int32(binary.NativeEndian.Uint32(buf[at:]))
				mask := binary.NativeEndian.Uint32(buf[at+4:])
				at += unix.SizeofInotifyEvent + int(binary.NativeEndian.Uint32(buf[at+12:]))
				if mask&unix.IN_Q_OVERFLOW != 0 {
					lost()
					continue
				}
				changed(change{number, mask})
			}
		}
	}()
}

// add watches what a path leads to, under a name of its own.
func (w *watcher) add(name, path string, events uint32) error {
	number, err := unix.InotifyAddWatch(w.fd, path, events)
	if err != nil {
		return err
	}
	if _, ok := w.names[int32(number)]; ok {
		return errWatched // and goes on as it was
	}
	w.remove(name) // what had it before
	w.byName[name], w.names[int32(number)] = int32(number), name
	return nil
}

// remove ends a watch. That it has ended already is no error.
func (w *watcher) remove(name string) {
	if number, ok := w.byName[name]; ok {
		delete(w.byName, name)
		delete(w.names, number)
		_, _ = unix.InotifyRmWatch(w.fd, uint32(number))
	}
}

// what tells which name an event is about, and whether it was the last one.
func (w *watcher) what(c change) (name string, last bool) {
	return w.names[c.number], c.mask&lastEvents != 0
}

// renamed tells whether an event is that of a file that has another name now.
func (c change) renamed() bool { return c.mask&unix.IN_MOVE_SELF != 0 }

var (
	_ fsys.MoveWatcher = (*dir)(nil)
	_ fsys.MoveWatcher = (*named)(nil)
)

// WatchMove implements [fsys.MoveWatcher]. The watch stays when d is closed.
func (d *dir) WatchMove() (moved <-chan struct{}, stop func(), err error) {
	if err = d.begin(); err == nil {
		moved, stop, err = d.watchMove()
		d.end()
	}
	if err != nil {
		return nil, nil, pathError("watch", d.path, err)
	}
	return moved, stop, nil
}

func (d *dir) watchMove() (moved <-chan struct{}, stop func(), err error) {
	known, err := d.facts()
	if err != nil {
		return nil, nil, err
	}
	w := newWaiter("/proc/self/fd/" + strconv.Itoa(d.fd))
	w.dir = fmt.Sprint("directory ", known.id)
	w.look = func() (fileID, error) { return known.id, nil }
	if err := events.add(w); err != nil {
		return nil, nil, err
	}
	return w.changed, func() { events.remove(w) }, nil
}

func (n *named) WatchMove() (moved <-chan struct{}, stop func(), err error) {
	d, err := n.open()
	if err != nil {
		return nil, nil, pathError("watch", n.path, err)
	}
	defer d.Close()
	return d.WatchMove()
}
