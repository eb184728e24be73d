package lock

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/dirlock/dirlock/fsys"
)

const (
	// A waiter looks every safetyBeat although events would wake it, because
	// they can be lost. That costs half a millisecond of CPU, nearly all of it
	// to wake a process that sleeps: a hundred waiters take half a percent of
	// one core.
	safetyBeat = 15 * time.Second

	// Where events are missing because the system has given all that it has to
	// others, there is a crowd: the beat of each waiter grows with the time that it
	// has waited, by an eighth each time, to crowdBeat at most.
	crowdBeat = 45 * time.Second

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

// LockContext is Lock, and gives up when ctx is done. The error then matches that
// of ctx. If somebody was in the way, it is also a [HeldError] that says who: it
// can be this handle itself, which is not re-entrant. If LockContext returns nil,
// it has acquired the lock, even if ctx was done at the same moment. If ctx is
// done already, it fails at once with the error of ctx, even if the lock is free.
// A nil ctx is an error.
//
// On Linux, a call that waits is made to give up by a SIGURG, a signal that Go
// programs get all the time. If the program calls [os/signal.Ignore] for it
// meanwhile, the call may notice only after the owner's Unlock that ctx is done.
func (l *DirLock) LockContext(ctx context.Context) error {
	return l.wrap("lock", l.lockContext(ctx, false))
}

// lockContext waits for the lock, or for that for reading.
func (l *DirLock) lockContext(ctx context.Context, shared bool) error {
	if err := ctxErr(ctx); err != nil {
		return err
	}
	if !shared && l.turnIsOver() {
		if err := l.pause(ctx, giveWay, nil, nil); err != nil {
			return err
		}
	}
	leave, err := l.waitTurn(ctx, shared)
	if err != nil {
		return l.gaveUpInLine(err)
	}
	defer leave()

	start := time.Now()
	w := waiter{DirLock: l, shared: shared}
	defer w.unclaim()
	for {
		ok, blocker, err := l.try(ctx, want{shared: shared, waiting: true, expectFree: w.expectFree})
		if ok {
			if w.blocked {
				l.emit(event{slog.LevelDebug, "waited", []slog.Attr{slog.Duration("time", time.Since(start))}})
				w.unwatchSoon()
				w.keepPlaces()
			}
			return nil
		}
		switch {
		case err == nil:
			w.claim(blocker)
			err = w.wait(ctx, blocker)
		case w.blocked && (isShortage(err) || errors.Is(err, fsys.ErrUnavailable)):
			err = w.sitOut(ctx, err)
		}
		if err != nil {
			w.unwatch()
			w.leaveLine()
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
func (v *visit) prepare(size int) {
	l := v.DirLock
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ready.file != nil {
		return
	}
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
	over := l.awaited || l.turnEnd.Sub(l.turnStart) >= turn
	return over && l.held == nil && l.now().Sub(l.turnEnd) < sameTurn
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
