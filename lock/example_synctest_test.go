package lock_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dirlock/dirlock/fsys/memfs"
	"github.com/dirlock/dirlock/lock"
	"github.com/dirlock/dirlock/proc/proctest"
)

// report is what a program does under a lock: it takes an hour, or as long as the
// lock is held.
func report(ctx context.Context, dir string, opts ...lock.Option) error {
	return lock.WithLock(ctx, dir, func(ctx context.Context) error {
		select {
		case <-time.After(time.Hour):
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}, opts...)
}

// TestExample_synctest is an example of a test with a disk in memory, invented
// processes and, in a bubble of testing/synctest, no time: it takes no hour. (An
// Example function has no testing.T, and so cannot show it.)
func TestExample_synctest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk, processes := memfs.New("/srv"), proctest.NewFake()
		as := func(name string) []lock.Option {
			p := processes.Start(name)
			return []lock.Option{lock.WithFS(disk.As(p)), lock.WithProcesses(p)}
		}
		start := time.Now()
		first := make(chan error)
		go func() { first <- report(t.Context(), "/srv", as("first")...) }()
		synctest.Wait() // until it is at work

		err := report(t.Context(), "/srv", as("second")...)
		if took := time.Since(start); err != nil || took < 2*time.Hour || took > 2*time.Hour+time.Second {
			t.Errorf("the second one: %v after %v, want two hours", err, took)
		}
		if err := <-first; err != nil {
			t.Error(err)
		}

		go func() { first <- report(t.Context(), "/srv", as("third")...) }()
		synctest.Wait()
		disk.Remove("/srv/L0")
		if err := <-first; err == nil {
			t.Error("the lock was lost, and nobody noticed")
		}
	})
}
