package lock

import (
	"context"
	"errors"
	"io/fs"
	"reflect"
	"sync"
	"time"

	"github.com/dirlock/dirlock/fsys"
	"github.com/dirlock/dirlock/proc"
)

// safetyBeat is how often a waiter looks although events would wake it: they
// can be lost.
const safetyBeat = 2 * time.Second

// LockContext is Lock, and gives up when ctx is done: the error then matches
// that of ctx, and the lock is not held. If it returns nil, the lock is held,
// even if ctx was done at the same moment.
func (l *DirLock) LockContext(ctx context.Context) error {
	return l.wrap("lock", l.lockContext(ctx))
}

func (l *DirLock) lockContext(ctx context.Context) error {
	if ctx == nil {
		return errors.New("nil context")
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	leave, err := l.queue(ctx)
	if err != nil {
		return err
	}
	defer leave()

	var w watch
	defer func() { w.stop() }()
	start, poll := time.Now(), l.pollMin
	for {
		ok, blocker, err := l.try(ctx, nil)
		if ok && w.watching {
			l.waited(time.Since(start))
		}
		if ok || err != nil {
			return err
		}
		if !w.covers(blocker) {
			w.stop()
			var again bool
			if w, again = l.watch(blocker); again {
				continue
			}
			poll = l.pollMin
		}
		beat := poll
		if w.changed != nil && w.ended != nil {
			beat = safetyBeat
		}
		if err := l.pause(ctx, l.jitter(beat), w.changed, w.ended); err != nil {
			return err
		}
		poll = min(2*poll, l.pollMax)
	}
}

// watch is what wakes a waiter: events of one file and its owner. No event is
// trusted: each only makes the waiter look again.
type watch struct {
	watching bool
	level    int
	owner    string
	changed  <-chan struct{}
	ended    <-chan struct{}
	stops    []func()
}

// watch starts to watch what is in the way, and tells whether to look again at
// once: what happened before the watch began is not among its events.
func (l *DirLock) watch(b look) (w watch, again bool) {
	w = watch{watching: true, level: b.level, owner: b.owner.ID}
	if w.owner == "" {
		return w, false
	}
	l.waiting(b)
	if !l.events {
		return w, false
	}
	changed, stop, err := fsys.Notify(l.dir, levelName(b.level))
	if err != nil {
		l.polling(err)
		return w, errors.Is(err, fs.ErrNotExist)
	}
	w.changed, w.stops = changed, append(w.stops, stop)
	if self, err := l.table.Self(); err == nil && sameNamespace(b.owner, self) {
		ended, stop, err := proc.Notify(l.table, b.owner.Identity)
		if err == nil {
			w.ended, w.stops = ended, append(w.stops, stop)
		} else {
			l.polling(err)
		}
	}
	return w, true
}

// covers tells whether w watches this file of this owner.
func (w *watch) covers(b look) bool {
	return w.owner != "" && w.owner == b.owner.ID && w.level == b.level
}

func (w *watch) stop() {
	for _, stop := range w.stops {
		stop()
	}
	w.stops = nil
}

// pauseFunc waits for d, or until one of the channels receives. It returns the
// error of ctx if that is done.
type pauseFunc func(ctx context.Context, d time.Duration, changed, ended <-chan struct{}) error

func pause(ctx context.Context, d time.Duration, changed, ended <-chan struct{}) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
	case <-changed:
	case <-ended:
	}
	return nil
}

// queues has a queue for every directory that goroutines of this process wait
// for, so that only the first of them costs watches and file traffic.
var queues struct {
	sync.Mutex
	of map[queueKey]*queue
}

type queueKey struct {
	fsys fsys.FS
	path string
}

type queue struct {
	turn  chan struct{} // has room for the one whose turn it is
	users int           // who is in line or has the turn
}

// queue waits until it is our turn among the waiters of this process. The
// caller calls leave when it waits no more.
func (l *DirLock) queue(ctx context.Context) (leave func(), err error) {
	if l.dirErr != nil || !reflect.ValueOf(l.fsys).Comparable() {
		return func() {}, nil
	}
	key := queueKey{l.fsys, l.path}

	queues.Lock()
	q := queues.of[key]
	if q == nil {
		if queues.of == nil {
			queues.of = make(map[queueKey]*queue)
		}
		q = &queue{turn: make(chan struct{}, 1)}
		queues.of[key] = q
	}
	q.users++
	queues.Unlock()

	forget := func() {
		queues.Lock()
		defer queues.Unlock()
		if q.users--; q.users == 0 {
			delete(queues.of, key)
		}
	}
	select {
	case q.turn <- struct{}{}:
		return func() { <-q.turn; forget() }, nil
	case <-ctx.Done():
		forget()
		return nil, ctx.Err()
	}
}
