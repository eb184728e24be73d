package lock

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"sync"
	"time"

	"github.com/dirlock/dirlock/fsys"
	"github.com/dirlock/dirlock/proc"
)

// Waiting in line: see "Waiting" in docs/protocol.md. Whose turn it is decides
// nothing. It is only the moment to try.
//
// Each L0 has a line. The first of it tries when the owner has let go, and others
// may do so at the same time: those who were first in an older line, and those
// who stand in none. A waiter that was first and came too late keeps its place,
// so that those behind it sleep on, and takes another one behind the new owner.
// The new owner keeps its own until Unlock. So an Unlock wakes a few processes
// and not all: three, on average, however many wait.

const (
	// A waiter in line looks after lineBeat, and then ever more seldom, up to
	// maxLineBeat: somebody may have removed L0, or one that is before it in line may
	// be stopped. A look costs a third of a millisecond of CPU, nearly all of it to
	// wake a process that sleeps: four hundred take less than a hundredth of one core.
	lineBeat    = time.Second
	maxLineBeat = 30 * time.Second

	// If others have had the lock meanwhile, it takes another place after
	// linePatience.
	linePatience = 30 * time.Second

	// maxPlaces is how many places a waiter keeps. Each is a descriptor.
	maxPlaces = 8
)

// waitInLine waits until it is our turn, and tells whether there is a line to
// wait in.
func (w *waiter) waitInLine(ctx context.Context, b look) (waited bool, err error) {
	switch {
	case w.onlyLooks, w.shared, !w.events, w.noLine, w.notHere:
		return false, nil
	case b.level != 0, b.in != "", b.Witness != fsys.Held:
		return false, nil
	case w.watched && !w.extras:
		return false, nil // this process has waiters enough in line
	case w.passed == b.owner.ID:
		// It was our turn, but somebody else has a lock on the file. Or there was
		// no place to be had.
		return false, nil
	}
	w.unwatch()
	if w.extras = w.takeExtras(); !w.extras {
		return false, nil
	}
	if !w.blocked {
		w.logWaiting(b)
	}
	w.blocked, w.blocker, w.expectFree = true, b, false
	place, err := w.standInLine(b)
	if errors.Is(err, fs.ErrNotExist) {
		return true, ctx.Err()
	}
	if err != nil {
		w.notHere = errors.Is(err, errors.ErrUnsupported) || errors.Is(err, fs.ErrPermission)
		w.passed = b.owner.ID // this owner is waited for in another way
		return false, ctx.Err()
	}
	w.dropPlaces()

	stop := context.AfterFunc(ctx, place.Interrupt)
	beat := w.startBeat(place, b)
	err = w.await(place)
	beat.stop()
	stop()
	if err != nil {
		_ = place.Close()
		w.notHere = !errors.Is(err, fsys.ErrInterrupted) // another kind of waiting may work
		return true, ctx.Err()
	}
	w.places, w.passed, w.expectFree = append(w.places, place), b.owner.ID, true
	return true, nil
}

// standInLine takes a place behind the owner of L0. There is time to make a file
// of ours ready.
func (w *waiter) standInLine(b look) (fsys.Spot, error) {
	arranging <- struct{}{}
	defer func() { <-arranging }()
	v, err := w.enter()
	if err != nil {
		return nil, err
	}
	defer v.leave()
	place, err := fsys.Line(v.dir, levelName(0))
	if err == nil {
		v.prepare(len(b.Data))
		v.mu.Lock()
		_ = v.identify(v.dir) // it remembers who we are
		v.mu.Unlock()
	}
	return place, err
}

// dropPlaces closes those that nobody stands behind, and the oldest of those that
// are too many.
func (w *waiter) dropPlaces() {
	kept := w.places[:0]
	for _, p := range w.places {
		if p.Followed() {
			kept = append(kept, p)
		} else {
			_ = p.Close()
		}
	}
	for len(kept) > maxPlaces {
		_ = kept[0].Close()
		kept = kept[1:]
	}
	w.places = kept
}

// leaveLine wakes those behind this waiter, which has given up.
func (w *waiter) leaveLine() {
	closePlaces(w.places)
	w.places = nil
}

func anyFollowed(places []fsys.Spot) bool {
	return slices.ContainsFunc(places, fsys.Spot.Followed)
}

func closePlaces(places []fsys.Spot) {
	for _, p := range places {
		_ = p.Close()
	}
}

// keepPlaces leaves the places to the lock that was acquired, until Unlock.
func (w *waiter) keepPlaces() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.held != nil {
		w.held.places = append(w.held.places, w.places...)
		w.places = nil
	}
	w.leaveLine()
}

// beat looks after a waiter that is blocked.
type beat struct {
	*DirLock
	place fsys.Spot
	owner string // of L0 when it took the place
	since time.Time

	mu      sync.Mutex
	after   time.Duration
	timer   *time.Timer
	stopped bool
}

func (w *waiter) startBeat(place fsys.Spot, b look) *beat {
	t := &beat{DirLock: w.DirLock, place: place, owner: b.owner.ID, since: time.Now(), after: w.lineBeat}
	if t.after == 0 {
		return t
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.timer = time.AfterFunc(w.jitter(t.after), t.look)
	return t
}

func (t *beat) stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stopped = true
	if t.timer != nil {
		t.timer.Stop()
	}
}

// look makes the waiter try, unless all is well.
func (t *beat) look() {
	inOrder := t.inOrder()
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.stopped:
	case inOrder:
		t.after = min(16*t.after, maxLineBeat)
		t.timer.Reset(t.jitter(t.after))
	default:
		t.place.Interrupt()
	}
}

// inOrder tells whether somebody has the lock, and the line moves as it should.
func (t *beat) inOrder() bool {
	b, _ := t.peek()
	if b.state != proc.Alive {
		v, err := t.enter()
		if err != nil {
			return false
		}
		defer v.leave()
		b, err = v.look(0)
		if err != nil || b.gone || b.state == proc.Dead {
			return false
		}
	}
	return b.owner.ID == t.owner || time.Since(t.since) < linePatience
}
