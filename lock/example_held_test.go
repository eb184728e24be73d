package lock_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/dirlock/dirlock/lock"
)

// A daemon that stops when it is told to, or when its lock is lost.
func ExampleDirLock_Held() {
	dir, remove := tempDir()
	defer remove()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	l := lock.New(dir)
	if err := l.LockNow(); err != nil {
		log.Fatal(err) // says who has it
	}
	work, cancel := l.Held(ctx)
	defer cancel()

	remove()      // somebody takes the directory away
	<-work.Done() // the daemon works until then
	fmt.Println("lost:", errors.Is(context.Cause(work), lock.ErrLost))
	fmt.Println("unlock:", errors.Is(l.Unlock(), lock.ErrLost))
	// Output:
	// lost: true
	// unlock: true
}

// A channel is for code that selects.
func ExampleDirLock_Lost() {
	dir, remove := tempDir()
	defer remove()
	l := lock.New(dir)
	if err := l.Lock(); err != nil {
		log.Fatal(err)
	}
	finished := time.After(time.Millisecond)
	select {
	case <-finished:
		fmt.Println("finished:", l.Unlock())
	case <-l.Lost():
		fmt.Println("lost")
	}
	// Output: finished: <nil>
}

// A lock around a child process, which is killed if the lock is lost.
func ExampleWithLock() {
	dir, remove := tempDir()
	defer remove()

	err := lock.WithLock(context.Background(), dir, func(ctx context.Context) error {
		return exec.CommandContext(ctx, "go", "version").Run()
	})
	fmt.Println(err)
	// Output: <nil>
}

// Who has the lock, and since when.
func ExampleDirLock_LockNow() {
	dir, remove := tempDir()
	defer remove()
	nightly := lock.New(dir, lock.WithCommand("backup"), lock.WithLabel("nightly"))
	if err := nightly.LockNow(); err != nil {
		log.Fatal(err)
	}

	err := lock.New(dir).LockNow()
	var held *lock.HeldError
	if errors.As(err, &held) {
		o := held.Owner()
		fmt.Println("in use by", o.Command, "for", o.Label, "for less than a minute:", time.Since(o.Since) < time.Minute)
	}
	fmt.Println(nightly.Unlock())
	// Output:
	// in use by backup for nightly for less than a minute: true
	// <nil>
}

// A cache with a directory and a lock for each key. The directory goes when
// nobody uses it.
func ExampleWithMkdir() {
	cache, remove := tempDir()
	defer remove()

	for _, key := range []string{"a", "b", "a"} {
		dir := filepath.Join(cache, key)
		err := lock.WithLock(context.Background(), dir, func(context.Context) error {
			fmt.Println("working on", key)
			return nil
		}, lock.WithMkdir())
		if err != nil {
			log.Fatal(err)
		}
		_ = os.Remove(dir) // fails if the next one has the lock already
	}
	left, err := os.ReadDir(cache)
	fmt.Println(len(left), err)
	// Output:
	// working on a
	// working on b
	// working on a
	// 0 <nil>
}

// Several locks in one directory.
func ExampleWithName() {
	dir, remove := tempDir()
	defer remove()

	writer, gc := lock.New(dir), lock.New(dir, lock.WithName(".gc"))
	fmt.Println(writer.LockNow(), gc.LockNow())
	all, err := lock.StatusAll(dir)
	if err != nil {
		log.Fatal(err)
	}
	for _, s := range all {
		state, level := s.State()
		fmt.Printf("%q is %v: %s\n", s.Name, state, filepath.Base(level.Path))
	}
	fmt.Println(writer.Unlock(), gc.Unlock())
	// Output:
	// <nil> <nil>
	// "" is held: L0
	// ".gc" is held: .gc.L0
	// <nil> <nil>
}
