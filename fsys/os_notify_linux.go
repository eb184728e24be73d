package fsys

import (
	"io/fs"
	"os"
	"slices"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Notify asks inotify(7) itself, unlike on other systems: package fsnotify
// passes every event through a goroutine more, and knows watches by the names
// of files, which level files change all the time. Without it, the time from a
// release to the next owner is shorter by a fifth.
//
// It watches the file and not its directory, so that other files in it wake
// nobody. All waiters of the process share one inotify instance, for a user can
// have 128 of them as a rule (max_user_instances). It exists while somebody
// waits, and for linger after that.
func (d *osDir) Notify(name string) (changed <-chan struct{}, stop func(), err error) {
	path := d.prefix + name
	if !validName(name) {
		return nil, nil, pathError("notify", path, fs.ErrInvalid)
	}
	w := &waiter{changed: make(chan struct{}, 1)}
	if err := events.add(path, w); err != nil {
		return nil, nil, pathError("notify", path, err)
	}
	return w.changed, func() { events.remove(w) }, nil
}

// The removal of a file whose owner has it still open, or that has another
// name, is a change of its attributes: of its number of links. The same goes
// for one that another file is renamed over.
const fileEvents = unix.IN_ATTRIB | unix.IN_MOVE_SELF | unix.IN_DELETE_SELF | unix.IN_DONT_FOLLOW

// linger is how long the instance stays after the last waiter. Closing it waits
// for a grace period of the kernel, some milliseconds, which must not come
// between a waiter and its lock, and who waits in a loop would open one each
// time.
const linger = 100 * time.Millisecond

// waiter is one call of Notify.
type waiter struct {
	watch   int           // what the kernel calls the watch of the file
	changed chan struct{} // of capacity 1: one "look again" stands for any number
}

func (w *waiter) wake() {
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// events are the watches of the process.
var events watches

type watches struct {
	mu      sync.Mutex
	file    *os.File          // the inotify instance; nil when nobody has waited for a while
	fd      int               // of file
	waiters map[int][]*waiter // by watch, of which a file has one
	uses    int               // calls of Notify that were not stopped
	idle    *time.Timer       // closes file when nobody waits
}

func (ws *watches) add(path string, w *waiter) (err error) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.file == nil {
		fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
		if err != nil {
			return os.NewSyscallError("inotify_init1", err)
		}
		ws.fd, ws.file = fd, os.NewFile(uintptr(fd), "inotify")
		ws.waiters = map[int][]*waiter{}
		ws.idle = time.AfterFunc(linger, ws.closeIdle)
		go ws.read(ws.file)
	}
	for {
		w.watch, err = unix.InotifyAddWatch(ws.fd, path, fileEvents)
		if err != unix.EINTR {
			break
		}
	}
	if err != nil {
		return os.NewSyscallError("inotify_add_watch", err)
	}
	ws.waiters[w.watch] = append(ws.waiters[w.watch], w)
	ws.uses++
	return nil
}

func (ws *watches) remove(w *waiter) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	rest := slices.DeleteFunc(ws.waiters[w.watch], func(other *waiter) bool { return other == w })
	ws.waiters[w.watch] = rest
	if len(rest) == 0 {
		// The kernel has ended it already if the file is gone. It gives the
		// number to no other watch before it has gone through all of them.
		delete(ws.waiters, w.watch)
		_, _ = unix.InotifyRmWatch(ws.fd, uint32(w.watch))
	}
	if ws.uses--; ws.uses == 0 {
		ws.idle.Reset(linger)
	}
}

func (ws *watches) closeIdle() {
	ws.mu.Lock()
	if ws.uses > 0 || ws.file == nil {
		ws.mu.Unlock()
		return
	}
	file := ws.file
	ws.file = nil
	ws.mu.Unlock()
	_ = file.Close() // Not under the lock, for it takes its time.
}

// read wakes the waiters of every event. It ends when file is closed.
func (ws *watches) read(file *os.File) {
	var buf [64 * unix.SizeofInotifyEvent]byte // events of files bring no name
	for {
		n, err := file.Read(buf[:])
		if err != nil {
			return
		}
		for at := 0; at+unix.SizeofInotifyEvent <= n; {
			e := (*unix.InotifyEvent)(unsafe.Pointer(&buf[at]))
			at += unix.SizeofInotifyEvent + int(e.Len)
			ws.handle(file, e)
		}
	}
}

func (ws *watches) handle(file *os.File, e *unix.InotifyEvent) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.file != file {
		return
	}
	if e.Mask&unix.IN_Q_OVERFLOW != 0 {
		for _, waiters := range ws.waiters {
			for _, w := range waiters {
				w.wake()
			}
		}
		return
	}
	for _, w := range ws.waiters[int(e.Wd)] {
		w.wake()
	}
}
