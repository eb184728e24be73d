package lock

import (
	"context"
	"log/slog"
)

// TryRLock acquires the lock for reading, if nobody holds it for writing and no
// writer waits for the readers to leave. Any number of readers, of any processes,
// share the lock; a reader and a writer (see [DirLock.TryLock]) exclude each other.
//
// It is like [sync.RWMutex.TryRLock]: a handle can be locked for reading several
// times, each of which is a lock of its own, with a file of its own, and needs an
// RUnlock of its own. A lock for reading cannot be turned into one for writing, nor
// the other way round: the handle that has one is refused the other.
//
// TryRLock does not wait for writers, is bounded, and fails as TryLock does. Where
// the file system has no directories in directories (see [fsys.Nester]) the error
// matches [errors.ErrUnsupported].
func (l *DirLock) TryRLock() (bool, error) {
	ok, _, err := l.try(context.Background(), want{shared: true})
	return ok, l.wrap("rlock", err)
}

// RLock waits until it has acquired the lock for reading; see [DirLock.TryRLock].
// It is woken as Lock is. It must not be called again by somebody who holds the
// lock for reading already: if a writer begins to wait in between, both wait for
// ever. See [WithinShared] for a process that cannot avoid it.
func (l *DirLock) RLock() error { return l.RLockContext(context.Background()) }

// RLockContext is RLock, and gives up when ctx is done, as [DirLock.LockContext]
// does.
func (l *DirLock) RLockContext(ctx context.Context) error {
	return l.wrap("rlock", l.lockContext(ctx, true))
}

// RUnlock releases one lock for reading of this handle, the one that was acquired
// last. Any goroutine may call it. The error matches [ErrNotHeld] if there is none,
// or [ErrLost] if it was lost; otherwise it is as for [DirLock.Unlock].
func (l *DirLock) RUnlock() error {
	h, lost, err := l.runlockQuietly()
	return l.wrap("runlock", l.unlocked(h, lost, err))
}

func (l *DirLock) runlockQuietly() (h *hold, lost, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	last := len(l.readers) - 1
	if last < 0 {
		return nil, nil, nil
	}
	h = l.readers[last]
	handover.Add(1)
	if lost, err = h.unlockShared(); err != nil {
		return h, nil, err
	}
	if lost == nil && h.recovered {
		h.left = l.tidy(h)
	}
	_ = h.dir.Close()
	l.readers[last] = nil
	l.readers = l.readers[:last]
	l.over(h, lost)
	l.unwatching.Wait()
	return h, lost, nil
}

// RLocker returns the same lock for reading only: its TryLock, Lock and Unlock are
// TryRLock, RLock and RUnlock. Code that takes a [TryLockerSafe] can share the lock
// by it.
func (l *DirLock) RLocker() TryLockerSafe { return rlocker{l} }

type rlocker struct{ l *DirLock }

func (r rlocker) TryLock() (bool, error) { return r.l.TryRLock() }
func (r rlocker) Lock() error            { return r.l.RLock() }
func (r rlocker) Unlock() error          { return r.l.RUnlock() }
func (r rlocker) Must() TryLocker        { return must{r} }

// WithinShared says that the process works for one that holds the lock for reading
// already, and waits for it. TryRLock and RLock then do not let a writer go first
// that waits for the readers: both would wait for ever.
func WithinShared() Option { return func(o *options) { o.within = true } }

// holdings returns what this handle holds. The mutex is held.
func (l *DirLock) holdings() []*hold {
	if l.held != nil {
		return []*hold{l.held}
	}
	return l.readers
}

// newest returns what this handle has acquired last of what it holds, or nil. The
// mutex is held.
func (l *DirLock) newest() *hold {
	if l.held != nil {
		return l.held
	}
	if n := len(l.readers); n > 0 {
		return l.readers[n-1]
	}
	return nil
}

// unlocked says what became of an Unlock, and logs it.
func (l *DirLock) unlocked(h *hold, lost, err error) error {
	if h != nil && h.left != nil {
		l.emit(mishap(slog.LevelWarn, leftFiles, h.left))
	}
	switch {
	case h == nil:
		return ErrNotHeld
	case err != nil:
		return err
	case lost != nil:
		if !h.lossLogged {
			l.emit(l.event(slog.LevelError, "lost", h.owner))
		}
		return lost
	}
	l.emit(l.event(slog.LevelDebug, "released", h.owner))
	return nil
}
