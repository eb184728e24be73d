//go:build darwin || dragonfly || freebsd || illumos || netbsd || openbsd || solaris

package osfs

import "github.com/fsnotify/fsnotify"

// watcher is what package fsnotify makes of this system's events.
type watcher struct{ *fsnotify.Watcher }

type change fsnotify.Event

const (
	fileEvents = 0 // all that there are
	moveEvents = 0 // none
)

func newWatcher() (*watcher, error) {
	w, err := fsnotify.NewWatcher()
	return &watcher{w}, err
}

func (w *watcher) close() { _ = w.Close() }

// run hands out events until the watcher is closed: in two goroutines, because
// the watcher can hold a lock of its own while it delivers an error, and handling
// an event may wait for that lock.
func (w *watcher) run(changed func(change), lost func()) {
	go func() {
		for e := range w.Events {
			changed(change(e))
		}
	}()
	go func() {
		for range w.Errors {
			lost()
		}
	}()
}

// add watches a file. The watcher knows it by its path.
func (w *watcher) add(_, path string, _ uint32) error { return w.Add(path) }

// remove ends a watch. That it has ended already is no error.
func (w *watcher) remove(name string) { _ = w.Remove(name) }

// what tells which name an event is about, and whether it was the last one.
func (w *watcher) what(c change) (name string, last bool) {
	return c.Name, c.Op&fsnotify.Remove != 0
}

// renamed tells whether an event is that of a file that has another name now.
func (c change) renamed() bool { return c.Op&fsnotify.Rename != 0 }
