package lock

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/dirlock/dirlock/fsys"
)

const (
	// A watched lock is checked every lossBeat although an event would tell,
	// because events can be lost. A hundred holders in processes of their own
	// take less than a thousandth of a core with that.
	lossBeat = 2 * time.Minute

	// It is checked every lossPoll where no event can tell of every change: the
	// file system has none, or other machines or mounts can reach the directory.
	lossPoll = time.Second
)

// Lost returns a channel that is closed when this handle finds that it has lost
// the lock that it holds now: its file was removed, replaced or written to, or
// the directory was removed, or its name leads to another directory, or to none.
// On a local file system with events that takes some milliseconds, and two minutes
// at most if the event gets lost. Otherwise, and with [WithoutEvents], it takes a
// second at most, or as long as the file system takes to show the change. What the
// lock protects may have another user by then: stop.
//
// That the directory itself was moved is an event on Linux only. No system tells
// when one above it was moved, something was mounted over it, or a link was made to
// lead elsewhere: that takes up to two minutes. See [ErrLost] for what is no loss.
//
// Unlock ends the watch. It closes the channel only if it finds the lock lost. If
// the handle does not hold the lock, the channel is closed already. A holder that
// never calls Lost or Held pays nothing. See [DirLock.Check] for an answer now.
func (l *DirLock) Lost() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if v := l.watchOver(); v != nil {
		return v.lost
	}
	return closed
}

// lossError is an ErrLost that says what became of the directory.
type lossError string

func (e lossError) Error() string        { return string(e) }
func (e lossError) Is(target error) bool { return target == ErrLost }

const (
	errMoved    lossError = "the lock was lost: the directory was moved, and there is none of its name"
	errReplaced lossError = "the lock was lost: the directory was replaced, and its name leads to another one"
)

// lossOf returns the ErrLost of a file that is not here.
func lossOf(place fsys.Place) error {
	switch place {
	case fsys.Moved:
		return errMoved
	case fsys.Replaced:
		return errReplaced
	}
	return ErrLost
}

// lossUnless returns nil if our file was found, and removed.
func lossUnless(found bool, place fsys.Place) error {
	if found {
		return nil
	}
	return lossOf(place)
}

// closed is the channel of a handle that has nothing to lose.
var closed = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// Held returns a context for work that needs the lock. It is done when the lock is
// found lost, as by [DirLock.Lost], and its [context.Cause] then matches [ErrLost].
// It is also done at Unlock, with a cause that matches [ErrNotHeld], and when ctx
// is, with the cause of that. If the handle does not hold the lock, it is done
// already. The caller calls cancel when the work has ended; that does not release
// the lock.
func (l *DirLock) Held(ctx context.Context) (held context.Context, cancel context.CancelFunc) {
	held, end := context.WithCancelCause(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	v := l.watchOver()
	if v == nil {
		end(l.wrap("hold", ErrNotHeld))
		return held, func() {}
	}
	holds := v.ctx
	stop := context.AfterFunc(holds, func() { end(context.Cause(holds)) })
	return held, func() { stop(); end(context.Canceled) }
}

// guard watches over a lock that is held, for whoever asked.
type guard struct {
	*DirLock
	h     *hold
	vigil *vigil
	ctx   context.Context // done when it need watch no more
	end   context.CancelFunc

	changed  <-chan struct{} // nil if there were never events
	moved    <-chan struct{} // the same, of the directory
	stop     func()
	stopMove func()
	watching bool // there are events of the file
	said     bool // why there are none
}

// vigil is what those see who have asked to be told of a loss: of what a handle
// has, from its first acquisition to its last release.
type vigil struct {
	lost chan struct{}   // closed when the lock is found lost
	ctx  context.Context // done when the lock is lost, or released
	end  context.CancelCauseFunc
}

// watchOver has all that this handle holds watched, or returns nil if that is
// nothing. The mutex is held.
func (l *DirLock) watchOver() *vigil {
	holds := l.holdings()
	if len(holds) == 0 {
		return nil
	}
	if l.vigil == nil {
		l.vigil = &vigil{lost: make(chan struct{})}
		l.vigil.ctx, l.vigil.end = context.WithCancelCause(context.Background())
		for _, h := range holds {
			l.watchHold(h)
		}
	}
	return l.vigil
}

func (l *DirLock) watchHold(h *hold) {
	h.guard = &guard{DirLock: l, h: h, vigil: l.vigil, stop: func() {}, stopMove: func() {}}
	h.guard.ctx, h.guard.end = context.WithCancel(l.vigil.ctx)
	go h.guard.run()
	if fsys.EndOf(h.file) != nil {
		go h.guard.awaitEnd()
	}
}

// addReader adds a lock for reading. The mutex is held.
func (l *DirLock) addReader(h *hold) {
	l.readers = append(l.readers, h)
	if l.vigil != nil {
		l.watchHold(h)
	}
}

// over ends the watch over what was released, or found lost, and tells why. The
// mutex is held.
func (l *DirLock) over(h *hold, lost error) {
	if h.guard != nil {
		h.guard.end()
	}
	switch {
	case lost != nil:
		l.vigil.over(l, lost)
	case len(l.holdings()) == 0:
		l.vigil.over(l, ErrNotHeld)
	}
	if len(l.holdings()) == 0 {
		l.vigil = nil
	}
}

func (v *vigil) over(l *DirLock, why error) {
	if v == nil || v.ctx.Err() != nil {
		return
	}
	if errors.Is(why, ErrLost) {
		close(v.lost)
	}
	v.end(l.wrap("hold", why))
}

// run checks the lock until it is lost or released.
func (g *guard) run() {
	defer func() { g.stop(); g.stopMove() }()
	for again := true; ; {
		// The watch first: what happened before it began is not among its events.
		if again || !g.watching {
			g.watch()
		}
		if !g.holds() {
			return
		}
		beat := time.NewTimer(g.jitter(g.beat()))
		select {
		case <-g.changed:
			again = true // a watch may end with what it has told
		case <-g.moved:
			again = false
		case <-beat.C:
			again = false
		case <-g.ctx.Done():
		}
		beat.Stop()
	}
}

// watch begins a watch on what has the name now. If it cannot, the last one
// stays: it may still tell of the file, in a directory that was moved.
func (g *guard) watch() {
	err := errors.New("events are switched off")
	if g.events && g.moved == nil { // where it cannot be watched, the beat tells
		if moved, stop, err := fsys.WatchMove(g.h.dir); err == nil {
			g.moved, g.stopMove = moved, stop
		}
	}
	if g.events {
		var changed <-chan struct{}
		var stop func()
		changed, stop, err = g.h.watch()
		if err == nil {
			g.stop()
			g.changed, g.stop, g.watching = changed, stop, true
			return
		}
	}
	g.watching = false
	if !g.said && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrClosed) {
		g.said = true
		g.emit(mishap(slog.LevelDebug, "polling the held lock, for want of events", err))
	}
}

// holds tells whether to watch on. An error is no loss.
func (g *guard) holds() bool {
	g.mu.Lock()
	if g.ctx.Err() != nil || !slices.Contains(g.holdings(), g.h) {
		g.mu.Unlock()
		return false
	}
	place, err := g.h.place()
	if errors.Is(err, os.ErrProcessDone) { // a test has killed its invented process
		g.vigil.over(g.DirLock, err)
	}
	if place == fsys.Here || err != nil {
		g.mu.Unlock()
		return g.ctx.Err() == nil
	}
	g.h.lossLogged = true
	g.vigil.over(g.DirLock, lossOf(place))
	g.mu.Unlock()
	g.emit(g.event(slog.LevelError, "lost", g.h.owner))
	return false
}

// beat is how long to rely on events.
func (g *guard) beat() time.Duration {
	if !g.watching {
		return lossPoll
	}
	if fsys.EndOf(g.h.file) != nil {
		return lossBeat // the store tells of every change, and the lease ends by itself
	}
	if loc, err := fsys.Locate(g.h.dir); err != nil || !loc.Local || !loc.Direct {
		return lossPoll // who changes the file elsewhere causes no event here
	}
	return lossBeat
}
