//go:build darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd || solaris

package osfs

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dirlock/dirlock/fsys"
)

// Watch watches the file itself and not its directory, so that other files in
// it wake nobody. All waiters of the process share one watcher, for the system's
// limits count watchers and not watches (inotify(7), max_user_instances); it
// exists while somebody waits, and a tenth of a second longer.
//
// The watch stays when d is closed.
func (d *dir) Watch(name string) (changed <-chan struct{}, stop func(), err error) {
	if err = d.beginFile(name); err == nil {
		changed, stop, err = d.watch(name)
		d.end()
	}
	if err != nil {
		return nil, nil, pathError("watch", d.prefix+name, err)
	}
	return changed, stop, nil
}

func (d *dir) watch(name string) (changed <-chan struct{}, stop func(), err error) {
	known, err := d.facts()
	if err != nil {
		return nil, nil, err
	}
	// The watcher strikes out "..", which is not the same after a link.
	where := d.path
	if strings.Contains(where, "..") {
		if real, err := filepath.EvalSymlinks(where); err == nil {
			where = real
		}
	}
	where = filepath.Clean(where)
	w := newWaiter(filepath.Join(where, name))
	w.look = func() (fileID, error) { return lookFor(w.path, where, known.id) }
	if err := events.add(w); err != nil {
		return nil, nil, err
	}
	return w.changed, func() { events.remove(w) }, nil
}

// waiter is one call of Watch.
type waiter struct {
	path    string                 // of the file
	dir     string                 // a name for the directory that it waits for, not a file
	look    func() (fileID, error) // says which file is to be watched
	changed chan struct{}          // of capacity 1: one "look again" stands for any number
	target  *target                // nil once what it watched is gone
}

func newWaiter(path string) *waiter {
	return &waiter{path: path, changed: make(chan struct{}, 1)}
}

// lookFor looks for a file by its path. The system watches what it finds by
// that, so that the path of the directory has to lead to the right one.
func lookFor(path, dir string, in fileID) (fileID, error) {
	var st unix.Stat_t
	if err := fstatat(unix.AT_FDCWD, dir, &st, 0); err != nil || idOf(&st) != in {
		return fileID{}, fmt.Errorf("%w: the path does not lead to the directory", errors.ErrUnsupported)
	}
	if err := fstatat(unix.AT_FDCWD, path, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return fileID{}, err
	}
	if !isRegular(&st) {
		return fileID{}, fsys.ErrNotRegular
	}
	return idOf(&st), nil
}

func (w *waiter) wake() {
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// target is what the system watches for one or more waiters. Systems watch
// files and not names, so waiters for two names of one file share it.
type target struct {
	key     fileID // which file it is
	name    string // by which the watcher knows it: the path that it was found by, but for a directory
	dir     bool   // it is a directory: only its moves count, and its watch stays
	waiters map[*waiter]struct{}
}

// events are the watches of the process.
var events watches

type watches struct {
	mu      sync.Mutex
	watcher *watcher    // nil when nobody has waited for a while
	idle    *time.Timer // closes it; nil while somebody waits
	waiters map[*waiter]struct{}
	byKey   map[fileID]*target
	byName  map[string]*target
}

func (ws *watches) add(w *waiter) error {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.watcher == nil {
		if err := ws.open(); err != nil {
			return err
		}
	}
	if ws.idle != nil {
		ws.idle.Stop()
		ws.idle = nil
	}
	ws.waiters[w] = struct{}{}
	if err := ws.watch(w); err != nil {
		ws.forget(w)
		return err
	}
	return nil
}

func (ws *watches) remove(w *waiter) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if _, ok := ws.waiters[w]; ok {
		ws.forget(w)
	}
}

func (ws *watches) open() error {
	watcher, err := newWatcher()
	if err != nil {
		return err
	}
	ws.watcher = watcher
	ws.waiters = map[*waiter]struct{}{}
	ws.byKey = map[fileID]*target{}
	ws.byName = map[string]*target{}
	watcher.run(
		func(c change) { ws.handle(watcher, c) },
		func() { ws.startOver(watcher) },
	)
	return nil
}

// forget takes a waiter out, and has the watcher closed after the last one.
func (ws *watches) forget(w *waiter) {
	delete(ws.waiters, w)
	if t := w.target; t != nil {
		w.target = nil
		delete(t.waiters, w)
		if len(t.waiters) == 0 {
			ws.drop(t)
		}
	}
	if len(ws.waiters) > 0 {
		return
	}
	watcher := ws.watcher
	ws.idle = time.AfterFunc(linger, func() { ws.close(watcher) })
}

// linger is how long the watcher stays after the last waiter. Closing it takes
// Linux some milliseconds, which must not come between a waiter and its lock,
// and who waits in a loop would open one each time.
const linger = 100 * time.Millisecond

// close closes the watcher unless somebody waits.
func (ws *watches) close(watcher *watcher) {
	ws.mu.Lock()
	idle := ws.watcher == watcher && len(ws.waiters) == 0
	if idle {
		ws.watcher = nil
	}
	ws.mu.Unlock()
	if idle {
		watcher.close()
	}
}

// drop ends a watch. That it has ended already is no error.
func (ws *watches) drop(t *target) {
	ws.watcher.remove(t.name)
	delete(ws.byKey, t.key)
	delete(ws.byName, t.name)
}

// watchTries bounds how often a file that others keep replacing is looked at
// anew. After that the waiter is told to look itself.
const watchTries = 10

// errWatched: the path leads to a file that is watched by another name.
var errWatched = errors.New("watched already")

// watch finds the target for a waiter, or makes one.
func (ws *watches) watch(w *waiter) error {
	for tries := 1; ; tries++ {
		key, err := w.look()
		if err != nil {
			return err
		}
		t := ws.byKey[key]
		if t != nil && t.dir {
			// A directory that is gone may have had the number, and no event has
			// told yet: then this one gets a watch.
			if err := ws.watcher.add(t.name, w.path, moveEvents); err != nil && err != errWatched {
				return err
			}
		}
		if t == nil {
			t = &target{key: key, name: w.path, waiters: map[*waiter]struct{}{}}
			events := uint32(fileEvents)
			if w.dir != "" {
				t.name, t.dir, events = w.dir, true, moveEvents
			}
			// The name may have stood for another file until now. The watcher
			// knows its watches by name, and must forget that one first.
			if old := ws.byName[t.name]; old != nil {
				defer ws.again(old)
				ws.drop(old)
			}
			err := ws.watcher.add(t.name, w.path, events)
			if err == errWatched && tries < watchTries {
				continue
			}
			if err != nil {
				return err
			}
			ws.byKey[key], ws.byName[t.name] = t, t
		}
		// What is watched may be a file that came after look did. If it
		// went before the watch began, no event will tell.
		now, err := w.look()
		same := err == nil && now == key
		if same || tries == watchTries {
			if !same {
				w.wake()
			}
			w.target = t
			t.waiters[w] = struct{}{}
			return nil
		}
		if len(t.waiters) == 0 {
			ws.drop(t)
		}
	}
}

// again wakes the waiters of a target that is watched no more, and lets them
// watch what has their names now. Whoever finds nothing there has been told.
func (ws *watches) again(t *target) {
	for w := range t.waiters {
		w.target = nil
		_ = ws.watch(w)
		w.wake()
	}
}

// handle is called for each event. On Linux the removal of a file that its
// owner has still open is a mere change of its attributes, so that every kind
// of event is a reason to look.
func (ws *watches) handle(watcher *watcher, c change) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.watcher != watcher {
		return
	}
	name, last := watcher.what(c)
	t := ws.byName[name]
	if t == nil {
		return
	}
	switch {
	case t.dir && last:
		ws.drop(t)
		for w := range t.waiters {
			w.target = nil
			w.wake()
		}
	case last || c.renamed() && !t.dir:
		ws.drop(t) // The watcher may have forgotten it, too.
		ws.again(t)
	default:
		t.wake()
	}
}

func (t *target) wake() {
	for w := range t.waiters {
		w.wake()
	}
}

// startOver is called when events were lost.
func (ws *watches) startOver(watcher *watcher) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.watcher != watcher {
		return
	}
	var files []*target
	for _, t := range ws.byName {
		if t.dir { // its watch goes on
			t.wake()
			continue
		}
		files = append(files, t)
	}
	for _, t := range files {
		ws.drop(t)
	}
	for _, t := range files {
		ws.again(t)
	}
}
