package lock_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"os"
	"time"

	"github.com/dirlock/dirlock/fsys/memfs"
	"github.com/dirlock/dirlock/lock"
	"github.com/dirlock/dirlock/proc"
	"github.com/dirlock/dirlock/proc/proctest"
)

// tempDir returns a new directory, and what removes it.
func tempDir() (dir string, remove func()) {
	dir, err := os.MkdirTemp("", "dirlock-example")
	if err != nil {
		log.Fatal(err)
	}
	return dir, func() { _ = os.RemoveAll(dir) }
}

// A program that must not run twice on one directory.
func ExampleNewDirLock() {
	dir, remove := tempDir()
	defer remove()

	l := lock.NewDirLock(dir)
	ok, err := l.TryLock()
	if err != nil {
		log.Fatal(err) // the directory is missing, read-only, …
	}
	if !ok {
		log.Fatal("another one is running")
	}
	defer func() {
		if err := l.Unlock(); err != nil {
			log.Print(err) // for example lock.ErrLost
		}
	}()
	fmt.Println("the directory is ours")
	// Output: the directory is ours
}

// Handles exclude each other, in one process as between processes.
func ExampleDirLock_TryLock() {
	dir, remove := tempDir()
	defer remove()

	a, b := lock.New(dir), lock.New(dir)
	fmt.Println(a.TryLock())
	fmt.Println(b.TryLock())
	fmt.Println(a.Unlock())
	fmt.Println(b.TryLock())
	fmt.Println(b.Unlock())
	// Output:
	// true <nil>
	// false <nil>
	// <nil>
	// true <nil>
	// <nil>
}

// Waiting with a time limit.
func ExampleDirLock_LockContext() {
	dir, remove := tempDir()
	defer remove()
	holder := lock.New(dir)
	if err := holder.Lock(); err != nil {
		log.Fatal(err)
	}

	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	l := lock.New(dir)
	err := l.LockContext(ctx)
	fmt.Println("gave up:", errors.Is(err, context.DeadlineExceeded))

	if err := holder.Unlock(); err != nil {
		log.Fatal(err)
	}
	fmt.Println("later:", l.LockContext(context.Background()))
	fmt.Println("released:", l.Unlock())
	// Output:
	// gave up: true
	// later: <nil>
	// released: <nil>
}

// Asking who holds the lock, without taking it.
func ExampleDirLock_Status() {
	dir, remove := tempDir()
	defer remove()
	holder := lock.New(dir)
	if err := holder.Lock(); err != nil {
		log.Fatal(err)
	}

	s, err := lock.New(dir).Status()
	if err != nil {
		log.Fatal(err)
	}
	if owner, held := s.Owner(); held {
		fmt.Println("it is this process:", owner.Owner.PID == os.Getpid())
		fmt.Println("not known to be dead:", owner.State != proc.Dead)
	}

	if err := holder.Unlock(); err != nil {
		log.Fatal(err)
	}
	s, err = lock.New(dir).Status()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("level files after Unlock:", len(s.Levels))
	// Output:
	// it is this process: true
	// not known to be dead: true
	// level files after Unlock: 0
}

// A holder can ask whether the directory still says that it is theirs, before a
// step that cannot be undone.
func ExampleDirLock_Check() {
	dir, remove := tempDir()
	defer remove()
	l := lock.New(dir)
	if err := l.Lock(); err != nil {
		log.Fatal(err)
	}
	fmt.Println("held:", l.Check())

	remove() // somebody takes the directory away
	fmt.Println("lost:", errors.Is(l.Check(), lock.ErrLost))
	fmt.Println("lost:", errors.Is(l.Unlock(), lock.ErrLost))
	fmt.Println("not held:", errors.Is(l.Unlock(), lock.ErrNotHeld))
	// Output:
	// held: <nil>
	// lost: true
	// lost: true
	// not held: true
}

// Must is for code that wants a sync.Locker, and for which an error is the end.
func ExampleDirLock_Must() {
	dir, remove := tempDir()
	defer remove()

	l := lock.New(dir).Must()
	l.Lock()
	fmt.Println("locked")
	l.Unlock()

	defer func() {
		err, _ := recover().(error)
		fmt.Println("panic with ErrNotHeld:", errors.Is(err, lock.ErrNotHeld))
	}()
	l.Unlock()
	// Output:
	// locked
	// panic with ErrNotHeld: true
}

// A person decides what the machine cannot know: the owner was on another
// machine, which is gone for good.
func ExampleDirLock_Break() {
	disk := memfs.New("/srv/data", memfs.Network())
	here := proctest.NewFake()
	newLock := func(p *proctest.FakeProcess) *lock.DirLock {
		return lock.New("/srv/data", lock.WithFS(disk.As(p)), lock.WithProcesses(p))
	}
	lost := newLock(here.Machine("lost").Start("backup"))
	if err := lost.Lock(); err != nil {
		log.Fatal(err)
	}

	l := newLock(here.Start("backup"))
	fmt.Println(l.TryLock())
	s, err := l.Status()
	if err != nil {
		log.Fatal(err)
	}
	owner, _ := s.Owner()
	fmt.Println(owner.Owner, "is", owner.State)

	// Of this owner alone: if another one has the lock by now, nothing is broken.
	fmt.Println(l.Break(context.Background(), owner.Owner.ID))
	fmt.Println(l.TryLock())
	// Output:
	// false <nil>
	// backup (process 1) on lost is unknown
	// <nil>
	// true <nil>
}

// The events of a lock, for a log.
func ExampleWithLogger() {
	disk, processes := memfs.New("/srv/data"), proctest.NewFake()
	dead := processes.Start("backup")
	if err := lock.New("/srv/data", lock.WithFS(disk.As(dead)), lock.WithProcesses(dead)).Lock(); err != nil {
		log.Fatal(err)
	}
	dead.Kill()

	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		Level: slog.LevelDebug,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == "owner" || a.Key == "dir" || a.Key == "reason" {
				return slog.Attr{}
			}
			return a
		},
	}))
	p := processes.Start("backup")
	l := lock.New("/srv/data", lock.WithFS(disk.As(p)), lock.WithProcesses(p), lock.WithLogger(logger))
	if err := l.Lock(); err != nil {
		log.Fatal(err)
	}
	if err := l.Unlock(); err != nil {
		log.Fatal(err)
	}
	// Output:
	// level=WARN msg=recovered level=1 from="backup (process 1) on host1"
	// level=DEBUG msg=acquired
	// level=DEBUG msg=released
}
