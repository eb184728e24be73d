package lock

import (
	"context"
	"sync"
)

// TryLocker is a lock in the manner of [sync.Mutex]. Its methods panic where
// those of the [TryLockerSafe] that it came from return an error, with that
// same error value.
type TryLocker interface {
	sync.Locker
	TryLock() bool
}

// TryLockerSafe is a lock whose methods return errors; [DirLock] describes them.
// Code that uses a directory lock should depend on this interface: package mocks
// has mocks of it.
type TryLockerSafe interface {
	TryLock() (bool, error)
	Lock() error
	Unlock() error
	Must() TryLocker
}

// ContextLocker is a [TryLockerSafe] that can also wait with a context, say who
// has the lock, and tell when it is lost. A [DirLock] is one; so are the mocks of
// package mocks.
type ContextLocker interface {
	TryLockerSafe
	LockNow() error
	LockContext(ctx context.Context) error
	Check() error
	Lost() <-chan struct{}
	Held(ctx context.Context) (held context.Context, cancel context.CancelFunc)
	Status() (Status, error)
}

var _ ContextLocker = (*DirLock)(nil)

// NewDirLock returns a lock of a directory of the real file system, between the
// processes of the real process table. It is [New] without options.
func NewDirLock(dir string) TryLockerSafe { return New(dir) }

// Must returns the same lock with methods that panic instead of returning an
// error. The value of the panic is that error.
func (l *DirLock) Must() TryLocker { return must{l} }

type must struct{ safe TryLockerSafe }

func (m must) Lock()   { panicIf(m.safe.Lock()) }
func (m must) Unlock() { panicIf(m.safe.Unlock()) }
func (m must) TryLock() bool {
	ok, err := m.safe.TryLock()
	panicIf(err)
	return ok
}

func panicIf(err error) {
	if err != nil {
		panic(err)
	}
}
