package fsys

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Notify watches the file, not the directory: what the lock guards may be
// written to all the time, and that must wake nobody.
//
// All calls of a process share one watcher of the system. Linux allows a user
// 128 of them (inotify(7), max_user_instances), and closing one waits for a
// grace period of the kernel, several milliseconds long, which nobody who just
// got a lock should wait for. It is closed a second after the last stop.
func (d *osDir) Notify(name string) (<-chan struct{}, func(), error) {
	path := d.prefix + name
	c, err := watchers.add(path)
	if err != nil {
		return nil, nil, pathError("notify", path, err)
	}
	return c, func() { go watchers.remove(path, c) }, nil
}

const watcherLinger = time.Second

var watchers sharedWatcher

type sharedWatcher struct {
	mu   sync.Mutex
	w    *fsnotify.Watcher // nil if there is none
	uses int               // how many stops are to come
	idle *time.Timer       // closes w

	// Held for a moment only, and never while w is asked for something: w may
	// wait for its events to be received.
	subsMu sync.Mutex
	subs   map[string][]chan struct{}
}

func (s *sharedWatcher) add(path string) (chan struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.w == nil {
		w, err := fsnotify.NewWatcher()
		if err != nil {
			return nil, fmt.Errorf("no watcher: %w", err)
		}
		s.w = w
		s.idle = time.AfterFunc(watcherLinger, s.closeIdle)
		go s.dispatch(w)
	}
	c := make(chan struct{}, 1)
	s.subsMu.Lock()
	if s.subs == nil {
		s.subs = make(map[string][]chan struct{})
	}
	s.subs[path] = append(s.subs[path], c)
	s.subsMu.Unlock()

	// A watch that is there already may be of an earlier file of that name.
	// Whoever waits for that one looks again.
	_ = s.w.Remove(path)
	err := s.w.Add(path)
	s.uses++
	if err != nil {
		s.drop(path, c)
		return nil, err
	}
	s.wake(path, c)
	return c, nil
}

func (s *sharedWatcher) remove(path string, c chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(path, c)
}

func (s *sharedWatcher) drop(path string, c chan struct{}) {
	s.subsMu.Lock()
	rest := s.subs[path][:0]
	for _, other := range s.subs[path] {
		if other != c {
			rest = append(rest, other)
		}
	}
	s.subs[path] = rest
	if len(rest) == 0 {
		delete(s.subs, path)
	}
	s.subsMu.Unlock()
	if len(rest) == 0 {
		_ = s.w.Remove(path) // The watch of a file that is gone is gone, too.
	}
	if s.uses--; s.uses == 0 {
		s.idle.Reset(watcherLinger)
	}
}

func (s *sharedWatcher) closeIdle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.w != nil && s.uses == 0 {
		_ = s.w.Close()
		s.w = nil
	}
}

// dispatch wakes whoever waits for a file. It ends when w is closed.
func (s *sharedWatcher) dispatch(w *fsnotify.Watcher) {
	for {
		select {
		case e, ok := <-w.Events:
			if !ok {
				return
			}
			s.wake(e.Name, nil)
		case err, ok := <-w.Errors:
			if !ok {
				return
			}
			if errors.Is(err, fsnotify.ErrEventOverflow) {
				s.wakeAll()
			}
		}
	}
}

func (s *sharedWatcher) wake(path string, except chan struct{}) {
	s.subsMu.Lock()
	defer s.subsMu.Unlock()
	for _, c := range s.subs[path] {
		if c != except {
			signal(c)
		}
	}
}

func (s *sharedWatcher) wakeAll() {
	s.subsMu.Lock()
	defer s.subsMu.Unlock()
	for _, cs := range s.subs {
		for _, c := range cs {
			signal(c)
		}
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
