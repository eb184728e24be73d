package lock

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dirlock/dirlock/fsys"
	"github.com/dirlock/dirlock/proc"
)

// DirLock is a handle on the lock of one directory. Make it with [New]. It is
// safe for concurrent use. It is not re-entrant: a second TryLock returns false,
// and a second Lock waits, until some goroutine calls Unlock. A handle that is
// forgotten while it holds the lock keeps it until the process ends.
type DirLock struct {
	options
	path     string                // of the directory, for messages
	named    fsys.Dir              // stands for the name: each call opens what has it then
	unusable error                 // why there is no named
	overrule func(look) proc.State // of Break: replaces verdicts

	mu        sync.Mutex // held during a TryLock, but not while waiting or logging
	held      *hold      // our L0
	readers   []*hold    // … or our locks for reading
	vigil     *vigil     // over the readers: nil until somebody asks to be told of a loss
	turnStart time.Time  // when the first acquisition of this turn was made: see wait.go
	turnEnd   time.Time  // when the last one was released
	tidied    bool       // the first Unlock has looked for what the dead have left
	awaited   bool       // others were in line then

	self  self
	ready ready

	refusals int // because of an owner that nobody here can judge

	unwatching sync.WaitGroup // of those who have waited
}

// New returns a handle on the lock of a directory. It only fixes the name
// against the working directory; problems with the directory, or with the
// options, are reported by the methods. The directory must exist when they are
// called, unless [WithMkdir] is given.
//
// A handle stands for a name: each TryLock, Lock and Status uses the directory
// that has the name at that moment. A handle that holds the lock keeps that
// directory open until Unlock, which finds it even if it was moved. But others
// that use the name do not find it there: Check, Lost and Held report that as a
// loss.
func New(dir string, opts ...Option) *DirLock {
	l := &DirLock{options: defaults(), path: dir}
	for _, opt := range opts {
		opt(&l.options)
	}
	switch {
	case l.options.err != nil:
		l.unusable = l.options.err
	case dir == "":
		l.path = `""`
		l.unusable = fmt.Errorf("the name of the directory is empty: %w", fs.ErrNotExist)
	default:
		l.named, l.unusable = l.fsys.Dir(dir)
	}
	if l.unusable == nil {
		l.path = l.named.Path()
		l.named = withPrefix(l.named, namePrefix(l.name))
	}
	return l
}

// TryLock acquires the lock if it is free or its owner is dead, and returns
// whether it did. It does not wait for a living owner: contention is (false,
// nil), never an error. Nor does it wait for long if another process is in the
// middle of a recovery, or was stopped there: it pauses for some milliseconds
// in all, then answers false.
//
// An error means that the lock was not acquired, and that no file of ours was
// left in anybody's way. It is an [fs.PathError] that wraps what the system said
// (fs.ErrNotExist if the directory is missing, fs.ErrPermission, …), a
// [RecordError] if a level file is unrecognized, or one that matches
// [errors.ErrUnsupported] if the file system cannot hold a lock.
func (l *DirLock) TryLock() (bool, error) {
	ok, _, err := l.try(context.Background(), want{})
	return ok, l.wrap("lock", err)
}

// Lock waits until it has acquired the lock. A release and the death of the owner
// wake it where the system has events; otherwise it polls (see [WithPolling]).
// Waiters get the lock in no particular order. It fails as TryLock does.
func (l *DirLock) Lock() error { return l.LockContext(context.Background()) }

// want is what an attempt is to acquire.
type want struct {
	shared     bool // the lock for reading
	waiting    bool // the caller waits for the lock, and has time
	expectFree bool // L0 may be gone
}

// try is TryLock or TryRLock, and tells what was in the way.
func (l *DirLock) try(ctx context.Context, w want) (bool, look, error) {
	h, blocker, events, err := l.tryQuietly(ctx, w)
	if l.log == nil {
		return h != nil, blocker, err
	}
	if h != nil {
		events = append(events, l.event(slog.LevelDebug, "acquired", h.owner))
	}
	returned := false
	defer func() {
		if h != nil && !returned { // the logger panics: nobody learns that the lock is held
			if w.shared {
				_, _, _ = l.runlockQuietly()
			} else {
				_, _, _ = l.unlockQuietly()
			}
		}
	}()
	l.emit(events...)
	returned = true
	return h != nil, blocker, err
}

// tryQuietly is try without what it has to log.
func (l *DirLock) tryQuietly(ctx context.Context, w want) (*hold, look, []event, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held != nil {
		return nil, look{owner: l.held.owner, verdict: alive(1, "it is this handle")}, nil, nil
	}
	if err := l.madeWrongly(); err != nil {
		return nil, look{}, nil, err
	}
	h, blocker, events, err := l.tryOnce(ctx, w)
	vanished := false
	for n := 0; l.mkdir && errors.Is(err, fs.ErrNotExist) && n < maxAttempts; n++ {
		vanished = false
		if err = fsys.Mkdir(l.named); err == nil {
			h, blocker, events, err = l.tryOnce(ctx, w)
			vanished = errors.Is(err, fs.ErrNotExist)
		}
	}
	if vanished { // somebody had the directory a moment ago, each time
		return nil, look{gone: true}, events, nil
	}
	return h, blocker, events, err
}

// tryOnce is tryQuietly in the directory that has the name now.
func (l *DirLock) tryOnce(ctx context.Context, w want) (*hold, look, []event, error) {
	expectFree := w.expectFree || l.expectsFree()
	if !expectFree && !w.shared {
		var blocker look
		if blocker, expectFree = l.peek(); blocker.state == proc.Alive {
			return nil, blocker, nil, nil
		}
	}
	v, err := l.enterWith(ctx)
	if err != nil {
		return nil, look{}, nil, err
	}
	v.waiting = w.waiting
	var h *hold
	var blocker look
	if w.shared {
		h, blocker, err = v.acquireShared(ctx)
	} else {
		h, blocker, err = v.acquire(ctx, expectFree)
	}
	if h == nil || err != nil {
		v.leave()
		return nil, blocker, v.events, err
	}
	handover.Load()
	if w.shared {
		l.addReader(h)
		return h, look{}, v.events, nil
	}
	l.held = h // and with it the open directory
	if h.owner.Since.Sub(l.turnEnd) >= sameTurn {
		l.turnStart = h.owner.Since
	}
	return h, look{}, v.events, nil
}

// Unlock releases the lock: it removes the lock file after checking that it is
// still ours. Any goroutine may call it.
//
// The error matches [ErrNotHeld] if this handle does not hold the lock, or
// [ErrLost] if the lock was lost meanwhile; nothing was touched then, and the
// handle holds nothing. If the directory was moved, and its name leads to none
// now, Unlock removes the file where it is, and returns nil. After any other error the file may still be there and
// the handle still holds the lock: Unlock can be called again.
func (l *DirLock) Unlock() error {
	h, lost, err := l.unlockQuietly()
	return l.wrap("unlock", l.unlocked(h, lost, err))
}

// unlockQuietly is Unlock without what it has to log. It returns what this
// handle held, and why that was lost, if it was.
func (l *DirLock) unlockQuietly() (h *hold, lost, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	h = l.held
	if h == nil {
		return nil, nil, nil
	}
	handover.Add(1)
	if lost, err = h.unlock(); err != nil {
		return h, nil, err
	}
	h.left = l.tidy(h)
	_ = h.dir.Close()
	l.held, l.turnEnd, l.awaited = nil, l.now(), h.awaited
	l.over(h, lost)
	l.unwatching.Wait()
	return h, lost, nil
}

// Check looks at the directory and returns nil if this handle holds the lock,
// the directory still says so, and the name still leads to that directory.
// Otherwise the error matches [ErrNotHeld] or [ErrLost], or wraps what the system
// said. It changes nothing.
func (l *DirLock) Check() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	holds := l.holdings()
	if len(holds) == 0 {
		return l.wrap("check", ErrNotHeld)
	}
	for _, h := range holds {
		place, err := h.place()
		if err == nil && place != fsys.Here {
			err = lossOf(place)
		}
		if err != nil {
			return l.wrap("check", err)
		}
	}
	return nil
}

// handover makes what was done under the lock of one handle happen before what
// is done under that of another one of this process: the Go memory model knows
// mutexes, channels and atomic variables, but no files.
var handover atomic.Uint64

// Owner returns this handle's owner record, and whether it holds the lock. It
// does not read the directory; see [DirLock.Check].
func (l *DirLock) Owner() (Owner, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := l.newest()
	if h == nil {
		return Owner{}, false
	}
	return h.owner, true
}

// String names the directory, and the lock if it has a name.
func (l *DirLock) String() string {
	if l.name != "" {
		return "lock " + l.name + " of " + l.path
	}
	return "lock of " + l.path
}

// GoString names the directory as the code that makes such a handle does.
func (l *DirLock) GoString() string {
	if l.name != "" {
		return fmt.Sprintf("lock.New(%q, lock.WithName(%q))", l.path, l.name)
	}
	return "lock.New(" + strconv.Quote(l.path) + ")"
}

// LogValue shows the path of the directory to package log/slog.
func (l *DirLock) LogValue() slog.Value { return slog.StringValue(l.path) }
