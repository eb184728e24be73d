package lock

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"time"

	"github.com/dirlock/dirlock/fsys"
	"github.com/dirlock/dirlock/proc"
)

const (
	// A waiter looks every safetyBeat although events would wake it, because
	// they can be lost. That costs half a millisecond of CPU, nearly all of it
	// to wake a process that sleeps: a hundred waiters take half a percent of
	// one core.
	safetyBeat = 15 * time.Second

	// A waiter that has lost more than freeLosses races in a row waits before
	// its next look: a random time, up to lossPause for each of the other
	// losses, but to maxLossPause at most. How many others there are it learns
	// from its losses, so that the looks of a crowd spread out in proportion to
	// it, while a lone waiter and a handful of them pay nothing.
	freeLosses   = 3
	lossPause    = 250 * time.Microsecond
	maxLossPause = 10 * time.Millisecond

	// A handle that locks again within sameTurn of its release is still at its
	// turn. It needs no wake-up, and so it would win against those who sleep,
	// each time. After turn, Lock lets them go first: it pauses for giveWay,
	// which is longer than a wake-up takes, and two hundredths of the turn.
	sameTurn = time.Millisecond
	turn     = 50 * time.Millisecond
	giveWay  = time.Millisecond
)

// LockContext is Lock, and gives up when ctx is done: the error then matches
// that of ctx, and is a [HeldError] that says who has the lock, which is not held
// by this handle. If it returns nil, the lock is held, even if ctx was done at the
// same moment. A ctx that is done already, or nil, is an error of its own, even if
// the lock is free.
func (l *DirLock) LockContext(ctx context.Context) error {
	return l.wrap("lock", l.lockContext(ctx))
}

func (l *DirLock) lockContext(ctx context.Context) error {
	if err := ctxErr(ctx); err != nil {
		return err
	}
	if l.turnIsOver() {
		if err := l.pause(ctx, giveWay, nil, nil); err != nil {
			return err
		}
	}
	leave, err := l.waitTurn(ctx)
	if err != nil {
		return l.gaveUpInLine(err)
	}
	defer leave()

	start := time.Now()
	w := waiter{DirLock: l}
	for {
		ok, blocker, err := l.try(ctx, true, w.expectFree)
		if ok {
			if w.blocked {
				l.emit(event{slog.LevelDebug, "waited", []slog.Attr{slog.Duration("time", time.Since(start))}})
				w.unwatchSoon()
			}
			return nil
		}
		if err == nil {
			err = w.wait(ctx, blocker)
		}
		if err != nil {
			w.unwatch()
			l.unprepare()
			return l.gaveUp(ctx, blocker, err)
		}
	}
}

// ctxErr returns why ctx is not one to wait with.
func ctxErr(ctx context.Context) error {
	if ctx == nil {
		return errors.New("nil context")
	}
	return ctx.Err()
}

// expectsFree tells whether the lock is likely to be free.
func (l *DirLock) expectsFree() bool { return l.expectFree(l) }

// justReleased tells whether this handle had the lock a moment ago.
func (l *DirLock) justReleased() bool { return l.now().Sub(l.turnEnd) < sameTurn }

// prepare makes the next level file of ours ready while there is time. What goes
// wrong now will show when the file is made.
func (l *DirLock) prepare(size int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ready.file != nil {
		return
	}
	v, err := l.enter()
	if err != nil {
		return
	}
	defer v.leave()
	if f, err := fsys.Prepare(v.dir, size); err == nil {
		l.ready.file = f
		l.ready.id, _ = l.newID()
	}
}

func (l *DirLock) unprepare() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ready.file != nil {
		_ = l.ready.file.Close()
		l.ready = ready{}
	}
}

// turnIsOver tells whether this handle has held the lock for a whole turn, save
// for moments in which nobody who slept could have got it.
func (l *DirLock) turnIsOver() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.held == nil && l.turnEnd.Sub(l.turnStart) >= turn && l.now().Sub(l.turnEnd) < sameTurn
}

// waiter waits for one file of one owner at a time.
type waiter struct {
	*DirLock
	onlyLooks  bool // it does not want the lock
	blocked    bool // by blocker, at the last look
	blocker    look
	losses     int  // how often somebody else was faster, in a row
	said       bool // that there are no events
	expectFree bool // L0 may be gone: we have slept, with a watch on it

	beat    time.Duration // until the next look, if nothing wakes us
	longest time.Duration // that beat grows to

	// What wakes us, if blocker is watched. No event is trusted: each only
	// makes us look again.
	watched  bool
	orphaned bool // its process has ended: see processEnded
	changed  <-chan struct{}
	ended    <-chan struct{}
	stops    []func()
}

// wait returns when it is time to look again, or ctx is done. It is told what
// is in the way.
func (w *waiter) wait(ctx context.Context, b look) error {
	first := !w.blocked
	same := w.blocked && !b.gone && b.level == w.blocker.level && b.owner.ID == w.blocker.owner.ID
	w.blocked, w.blocker, w.expectFree = true, b, false
	w.orphaned = w.orphaned && same
	switch {
	case same && w.watched && !w.orphaned && w.processEnded():
		w.orphaned = true
		w.watch(b)
		return nil
	case same && w.watched:
		if err := w.pause(ctx, w.jitter(w.beat), w.changed, w.ended); err != nil {
			return err
		}
		w.beat = min(2*w.beat, w.longest)
		w.expectFree = w.changed != nil && b.level == 0
	case same || first && !b.gone:
		// Then look again at once: what happened before the watch began is not
		// among its events.
		w.watch(b)
		return nil
	default:
		// The lock was free, and somebody else has got it. He may be gone in a
		// moment, too: only an owner who stays is worth a watch.
		w.unwatch()
		w.losses++
	}
	if d := min(time.Duration(w.losses-freeLosses)*lossPause, maxLossPause); d > 0 {
		return w.pause(ctx, w.random(d), nil, nil)
	}
	return nil
}

// watch arranges to be woken when what is in the way may have changed.
func (w *waiter) watch(b look) {
	w.unwatch()
	w.watched, w.beat, w.longest = true, w.pollMin, w.pollMax
	w.logWaiting(b)
	if !w.onlyLooks {
		w.prepare(len(b.Data))
	}
	if !w.events {
		w.notePolling(errors.New("events are switched off"))
		return
	}
	changed, stop, err := fsys.Watch(w.named, levelName(b.level))
	switch {
	case err == nil:
		w.changed, w.stops = changed, append(w.stops, stop)
	case !errors.Is(err, fs.ErrNotExist):
		w.notePolling(err)
	}
	if self, err := w.table.Self(); err != nil || !sameNamespace(b.owner, self) {
		w.notePolling(errors.New("the owner is not a process that this one can see"))
		return
	}
	ended, stop, err := proc.Notify(w.table, b.owner.Identity)
	if err != nil {
		w.notePolling(err)
		return
	}
	w.ended, w.stops = ended, append(w.stops, stop)
	if w.changed != nil && !w.orphaned {
		w.beat, w.longest = safetyBeat, safetyBeat
	}
}

// processEnded tells whether the process of the owner has ended, though the lock
// is held: by what it has started, which has inherited the witness (see File). No
// event says when that lets go.
func (w *waiter) processEnded() bool {
	if w.ended == nil {
		return false
	}
	state, _ := w.table.Probe(w.blocker.owner.Identity)
	return state == proc.Dead
}

// unwatchSoon takes down the watches beside the new owner, whose time it is. An
// Unlock waits for that to be done.
func (w *waiter) unwatchSoon() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.unwatching.Go(w.unwatch)
}

// notePolling says, once, that and why this waiter has to poll.
func (w *waiter) notePolling(why error) {
	if !w.said {
		w.emit(mishap(slog.LevelDebug, "polling, for want of events", why))
	}
	w.said = true
}

func (w *waiter) unwatch() {
	for _, stop := range w.stops {
		stop()
	}
	w.watched, w.changed, w.ended, w.stops = false, nil, nil, nil
}

// pauseFunc waits for d, or until one of the channels receives. It returns the
// error of ctx if that is done.
type pauseFunc func(ctx context.Context, d time.Duration, changed, ended <-chan struct{}) error

func pause(ctx context.Context, d time.Duration, changed, ended <-chan struct{}) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	case <-changed:
	case <-ended:
	}
	return ctx.Err()
}
