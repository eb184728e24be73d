package lock

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/dirlock/dirlock/fsys"
	"github.com/dirlock/dirlock/proc"
)

// waiter waits for one file of one owner at a time.
type waiter struct {
	*DirLock
	ctx        context.Context // of the wait
	onlyLooks  bool            // it does not want the lock
	shared     bool            // it wants the lock for reading
	claims     *hold           // it waits for readers to leave: see claim.go
	blocked    bool            // by blocker, at the last look
	blocker    look
	losses     int  // how often somebody else was faster, in a row
	said       bool // that there are no events
	expectFree bool // L0 may be gone: we have slept, with a watch on it

	beat    time.Duration // until the next look, if nothing wakes us
	longest time.Duration // that beat grows to

	// What wakes us, if blocker is watched. No event is trusted: each only
	// makes us look again.
	watched  bool
	queued   bool // changed says that it is our turn, whoever has the lock
	orphaned bool // its process has ended: see processEnded
	changed  <-chan struct{}
	ended    <-chan struct{}
	stops    []func()
	extras   bool        // it is one of the maxExtras
	passed   string      // the owner that let us pass, in line, last
	notHere  bool        // there is no line to stand in
	places   []fsys.Spot // in lines in which it was the first, and too late
	crowd    bool        // there are no events because others have them all
}

// wait returns when it is time to look again, or ctx is done. It is told what
// is in the way.
func (w *waiter) wait(ctx context.Context, b look) error {
	w.ctx = ctx
	if waited, err := w.waitInLine(ctx, b); waited {
		return err
	}
	first := !w.blocked
	same := w.queued || w.blocked && !b.gone && b.level == w.blocker.level && b.owner.ID == w.blocker.owner.ID
	w.blocked, w.blocker, w.expectFree = true, b, false
	w.orphaned = w.orphaned && same
	switch {
	case same && w.watched && !w.orphaned && w.processEnded():
		w.orphaned = true
		w.watch(b)
		return nil
	case same && w.watched:
		d, start := w.jitter(w.beat), time.Now()
		if err := w.pause(ctx, d, w.changed, w.ended); err != nil {
			return err
		}
		w.beat = w.nextBeat()
		w.expectFree = w.changed != nil && b.level == 0 && b.in == ""
		if b.row == rowLeased || w.queued {
			// In a store, to create in vain costs more than to look.
			w.expectFree = w.queued && time.Since(start) < d
		}
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

// nextBeat is the time to the next look, after one in vain.
func (w *waiter) nextBeat() time.Duration {
	if w.crowd && w.beat >= w.pollMax {
		return min(w.beat+w.beat/8, max(crowdBeat, w.pollMax))
	}
	return min(2*w.beat, w.longest)
}

// watch arranges to be woken when what is in the way may have changed. Nothing of
// it is needed: where it fails, the waiter polls.
func (w *waiter) watch(b look) {
	w.unwatch()
	w.watched, w.beat, w.longest = true, w.pollMin, w.pollMax
	w.logWaiting(b)
	arranging <- struct{}{}
	defer func() { <-arranging }()
	v, err := w.enterWith(w.ctx)
	if err != nil {
		w.noEvents(err)
		return
	}
	defer v.leave()
	w.extras = w.takeExtras()
	if w.extras && !w.onlyLooks && !w.shared {
		v.prepare(len(b.Data))
	}
	if w.events {
		w.watchOwner(&v, b)
	} else {
		w.notePolling(errors.New("events are switched off"))
	}
}

// arranging has room for those that arrange a watch at the same time. They have
// the directory open, and a file system lets them wait for each other.
var arranging = make(chan struct{}, 16)

// watchOwner watches for both ways in which an owner lets go.
func (w *waiter) watchOwner(v *visit, b look) {
	if loc, err := fsys.Locate(v.dir); err != nil || loc.Mount != b.owner.Mount {
		w.notePolling(errors.New("the owner uses another mount of the directory, or one that is not known"))
		return
	}
	changed, stop, err := w.watchTurn(v, b)
	switch {
	case err == nil:
		w.changed, w.stops = changed, append(w.stops, stop)
	case !errors.Is(err, fs.ErrNotExist):
		w.noEvents(err)
	}
	if b.row == rowLeased && w.changed != nil {
		w.beat, w.longest = safetyBeat, safetyBeat // the store tells of the owner's end, too
		return
	}
	if self, err := w.table.Self(); err != nil || !sameNamespace(b.owner, self) {
		w.notePolling(errors.New("the owner is not a process that this one can see"))
		return
	}
	if !w.extras {
		w.crowd = true
		w.notePolling(errors.New("this process waits for very many directories"))
		return
	}
	ended, stop, err := proc.Notify(w.table, b.owner.Identity)
	if err != nil {
		w.noEvents(err)
		return
	}
	w.ended, w.stops = ended, append(w.stops, stop)
	if w.changed != nil && !w.orphaned {
		w.beat, w.longest = safetyBeat, safetyBeat
	}
}

// noEvents is told why there are none.
func (w *waiter) noEvents(why error) {
	w.crowd = w.crowd || noRoomForEvents(why)
	w.notePolling(why)
}

// sitOut waits for a shortage to pass, and gives back what this waiter can do
// without. A wait that has begun does not end because of it.
func (w *waiter) sitOut(ctx context.Context, why error) error {
	w.unwatch()
	w.unprepare()
	w.leaveLine()
	w.blocker = look{} // then the next look is the first one of its file
	w.crowd, w.longest = isShortage(why), w.pollMax
	w.notePolling(why)
	w.beat = max(w.nextBeat(), w.pollMin)
	return w.pause(ctx, w.jitter(w.beat), nil, nil)
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
	if len(w.stops) == 0 {
		w.unwatch()
		return
	}
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
	if w.extras {
		w.inUse.Add(-1)
	}
	w.queued = false
	w.watched, w.changed, w.ended, w.stops, w.extras, w.crowd = false, nil, nil, nil, false, false
}

// A waiter can have two descriptors besides the watch, which is one for the whole
// process: a prepared file, and one that tells of the owner's death. At most so
// many waiters of a process have them, so that waiting for many directories does
// not use up the descriptors that the program needs.
const maxExtras = 64

// extrasInUse counts them.
var extrasInUse atomic.Int32

func (w *waiter) takeExtras() bool {
	if w.inUse.Add(1) <= maxExtras {
		return true
	}
	w.inUse.Add(-1)
	return false
}
