package lock

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dirlock/dirlock/fsys"
	"github.com/dirlock/dirlock/proc"
)

// TryLocker is a lock in the manner of [sync.Mutex]. Its methods panic where
// those of the [TryLockerSafe] that it came from return an error, with that
// same error value.
type TryLocker interface {
	sync.Locker
	TryLock() bool
}

// TryLockerSafe is a lock whose methods return errors. It is what code that
// uses a directory lock should depend on: package mocks has mocks of it.
type TryLockerSafe interface {
	TryLock() (bool, error)
	Lock() error
	Unlock() error
	Must() TryLocker
}

var _ TryLockerSafe = (*DirLock)(nil)

// NewDirLock returns a lock of a directory of the real file system, between the
// processes of the real process table. It is [New] without options.
func NewDirLock(dir string) TryLockerSafe { return New(dir) }

// DirLock is a handle on the lock of one directory. It is safe for concurrent
// use. It is not re-entrant: a second TryLock returns false, and a second Lock
// waits, until some goroutine calls Unlock. A handle that is forgotten while it
// holds the lock keeps it until the process ends.
type DirLock struct {
	options
	path   string // of dir, or the name that could not be resolved
	dir    fsys.Dir
	dirErr error // why there is no dir

	// What an explorer of interleavings sets otherwise.
	maxAttempts int
	pause       pauseFunc
	expectFree  func(*DirLock) bool

	mu        sync.Mutex // held during a TryLock, but not while waiting
	held      *hold      // our L0
	turnStart time.Time  // when the first acquisition of this turn was made: see wait.go
	turnEnd   time.Time  // when the last one was released

	self  self
	ready ready

	unwatching sync.WaitGroup // of those who have waited
}

// New returns a handle on the lock of a directory. It resolves the name, once,
// and does nothing else: what is wrong with the directory is reported by the
// methods. The directory must exist when they are called.
func New(dir string, opts ...Option) *DirLock {
	l := &DirLock{options: defaults(), maxAttempts: maxAttempts, pause: pause, expectFree: (*DirLock).justReleased}
	for _, opt := range opts {
		opt(&l.options)
	}
	l.path = dir
	if l.dir, l.dirErr = l.fsys.Dir(dir); l.dirErr == nil {
		l.path = l.dir.Path()
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
// left. It is an [fs.PathError] that wraps what the system said
// (fs.ErrNotExist if the directory is missing, fs.ErrPermission, …), a
// [RecordError] if there is a file that nobody can judge, or one that matches
// [errors.ErrUnsupported] if the file system cannot hold a lock.
func (l *DirLock) TryLock() (bool, error) {
	ok, _, err := l.try(context.Background(), false, nil)
	return ok, l.wrap("lock", err)
}

// try is TryLock, and tells what was in the way.
func (l *DirLock) try(ctx context.Context, free bool, j judge) (bool, look, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dirErr != nil {
		return false, look{}, l.dirErr
	}
	if l.held != nil {
		return false, look{owner: l.held.owner, state: proc.Alive, why: "it is this handle"}, nil
	}
	h, blocker, err := l.acquire(ctx, free || l.expectFree(l), j)
	if h == nil || err != nil {
		return false, blocker, err
	}
	handover.Load()
	l.held = h
	if h.owner.Since.Sub(l.turnEnd) >= sameTurn {
		l.turnStart = h.owner.Since
	}
	l.acquired(h)
	return true, look{}, nil
}

// Lock waits until it has acquired the lock. It fails as TryLock does.
func (l *DirLock) Lock() error { return l.LockContext(context.Background()) }

// Unlock releases the lock: it removes the file that says that we hold it, once
// it has seen that this file is ours. Any goroutine may call it.
//
// The error matches [ErrNotHeld] if this handle does not hold the lock, or
// [ErrLost] if the lock was lost meanwhile; nothing was touched then, and the
// handle holds nothing. After any other error the file may still be there and
// the handle still holds the lock: Unlock can be called again.
func (l *DirLock) Unlock() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := l.held
	if h == nil {
		return l.wrap("unlock", ErrNotHeld)
	}
	handover.Add(1)
	found, err := l.remove(h, 0)
	if err != nil {
		return l.wrap("unlock", err)
	}
	_ = h.file.Close()
	l.held, l.turnEnd = nil, l.now()
	if !found {
		l.lost(h)
		return l.wrap("unlock", ErrLost)
	}
	l.released(h)
	l.unwatching.Wait()
	return nil
}

// Check looks at the directory and returns nil if this handle holds the lock
// and the directory still says so. Otherwise the error matches [ErrNotHeld] or
// [ErrLost], or wraps what the system said. It changes nothing.
func (l *DirLock) Check() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held == nil {
		return l.wrap("check", ErrNotHeld)
	}
	ours, err := l.held.file.Intact(levelName(0))
	if err == nil && !ours {
		err = ErrLost
	}
	return l.wrap("check", err)
}

// handover makes what was done under the lock of one handle happen before what
// is done under that of another one of this process: the Go memory model knows
// mutexes, channels and atomic variables, but no files.
var handover atomic.Uint64

// Owner returns what the directory says about us, and whether this handle holds
// the lock. It looks at no disk; see [DirLock.Check].
func (l *DirLock) Owner() (Owner, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held == nil {
		return Owner{}, false
	}
	return l.held.owner, true
}

// Must returns the same lock with methods that panic instead of returning an
// error. The value of the panic is that error.
func (l *DirLock) Must() TryLocker { return must{l} }

type must struct{ l *DirLock }

func (m must) Lock()   { check(m.l.Lock()) }
func (m must) Unlock() { check(m.l.Unlock()) }
func (m must) TryLock() bool {
	ok, err := m.l.TryLock()
	check(err)
	return ok
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

// self is what all records of a handle say of its owner.
type self struct {
	found      Owner // what they are made of
	owner      Owner // what they say
	head, tail []byte
}

// ready is what was made ready for the next level file of ours, while there was
// time. It may be empty.
type ready struct {
	id   string
	file fsys.Prepared
}

// newOwner identifies this acquisition, unlike any other, and returns its
// record.
func (l *DirLock) newOwner() (Owner, []byte, error) {
	if err := l.identify(); err != nil {
		return Owner{}, nil, err
	}
	id, err := l.ready.id, error(nil)
	if l.ready.id = ""; id == "" {
		id, err = l.newID()
	}
	if err != nil {
		return Owner{}, nil, err
	}
	o := l.self.owner
	o.ID = id
	o.Since = recordTime(l.now())
	return o, completeRecord(make([]byte, 0, maxRecord), l.self.head, l.self.tail, o), nil
}

// newID returns an ID that no other acquisition has.
func (l *DirLock) newID() (string, error) {
	var id [idLen / 2]byte
	if _, err := io.ReadFull(l.rand, id[:]); err != nil {
		return "", fmt.Errorf("random owner ID: %w", err)
	}
	return hex.EncodeToString(id[:]), nil
}

// identify finds out who we are, for newOwner.
func (l *DirLock) identify() error {
	id, err := l.table.Self()
	if err != nil {
		return err
	}
	if id.PID <= 0 {
		return fmt.Errorf("own process ID is %d", id.PID)
	}
	o := Owner{Identity: id}
	witness, err := fsys.Witnesses(l.dir)
	if err != nil {
		return err
	}
	loc, err := fsys.Locate(l.dir)
	if err != nil {
		return err
	}
	o.Witness, o.Local = witness != fsys.NoWitness, loc.Local
	if !o.Local {
		o.Mount = loc.Mount
	}
	if l.self.found == o {
		return nil
	}
	// Nobody could ever judge a record that cannot be read. What it says is what
	// we are from now on: without the parts that do not fit in.
	s := self{found: o}
	o.ID, o.Since = strings.Repeat("0", idLen), l.now()
	if s.owner, err = parseRecord(appendRecord(nil, o)); err != nil {
		return fmt.Errorf("own record: %w", err)
	}
	s.head, s.tail = recordOf(o)
	l.self = s
	return nil
}

// jitter returns a random duration from d/2 to d.
func (l *DirLock) jitter(d time.Duration) time.Duration { return d/2 + l.random(d/2) }

// random returns a random duration from 0 to d.
func (l *DirLock) random(d time.Duration) time.Duration {
	var b [8]byte
	_, _ = io.ReadFull(l.rand, b[:])
	return time.Duration(binary.LittleEndian.Uint64(b[:]) % (uint64(d) + 1))
}

// wrap names the operation and the directory.
func (l *DirLock) wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: l.path, Err: err}
}

func (l *DirLock) recordError(level int, err error) error {
	return &RecordError{Path: filepath.Join(l.path, levelName(level)), Err: err}
}
