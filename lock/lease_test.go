package lock_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dirlock/dirlock/fsys"
	"github.com/dirlock/dirlock/fsys/memfs"
	"github.com/dirlock/dirlock/lock"
	"github.com/dirlock/dirlock/proc"
	"github.com/dirlock/dirlock/proc/proctest"
)

// A store in which files hang on leases.

// got is TryLock, without an error.
func got(t *testing.T, l *lock.DirLock) bool {
	ok, err := l.TryLock()
	require.NoError(t, err)
	return ok
}

func l0(name string) string { return dirPath + "/" + name }

func TestLeasedLockCostsNoWriteWhenHeld(t *testing.T) {
	w := newWorld(memfs.Leased())
	a, _ := w.handle()
	b, _ := w.handle()
	require.True(t, got(t, a))
	w.ops = nil
	assert.False(t, got(t, b))
	assert.Equal(t, []string{"open .", "read L0", "close ."}, w.ops)
	w.ops = nil
	require.NoError(t, a.Unlock())
	assert.Contains(t, w.ops, "remove if L0")
	assert.Empty(t, w.Names(dirPath))
	assert.Zero(t, w.Usage())
}

func TestLeaseDecidesAndNoProcessTable(t *testing.T) {
	w := newWorld(memfs.Leased())
	a, p := w.handle()
	b, _ := w.handle()
	require.True(t, got(t, a))
	p.Kill()
	assert.False(t, got(t, b), "its lease has not ended")
	s, err := b.Status()
	require.NoError(t, err)
	level, ok := s.Owner()
	require.True(t, ok)
	assert.Equal(t, proc.Alive, level.State)
	assert.Equal(t, 18, lock.Row(level))
	assert.False(t, level.Owner.Witness)

	w.EndLease(l0("L0"))
	assert.True(t, got(t, b))
}

func TestWhatHangsOnNoLeaseIsSwapped(t *testing.T) {
	w := newWorld(memfs.Leased())
	a, _ := w.handle()
	require.True(t, got(t, a))
	copied := w.Entries(dirPath)["L0"].Data
	require.NoError(t, a.Unlock())
	w.Put(l0("L0"), []byte(copied))

	b, _ := w.handle()
	s, err := b.Status()
	require.NoError(t, err)
	require.Len(t, s.Levels, 1)
	assert.Equal(t, 19, lock.Row(s.Levels[0]))
	w.ops = nil
	assert.True(t, got(t, b))
	assert.Contains(t, w.ops, "swap L0")
	assert.NotContains(t, w.ops, "create L1", "levels protect nothing here")
	assert.Equal(t, []string{"L0"}, w.Names(dirPath))
	require.NoError(t, b.Unlock())
}

// leasedStore is a store, and a machine with processes. While down is set, the
// process of that cannot reach it.
type leasedStore struct {
	*memfs.Disk
	procs *proctest.Fake
	down  atomic.Pointer[proctest.FakeProcess]
}

func newLeasedStore() *leasedStore {
	s := &leasedStore{Disk: memfs.New(dirPath, memfs.Leased()), procs: proctest.NewFake()}
	s.Before(func(op memfs.Op) error {
		if p := s.down.Load(); p != nil && op.Process == p && op.Name != "close" && op.Name != "open" {
			return fsys.ErrUnavailable
		}
		return nil
	})
	return s
}

func (s *leasedStore) handle(opts ...lock.Option) (*lock.DirLock, *proctest.FakeProcess) {
	p := s.procs.Start("tester")
	return lock.New(dirPath, append(opts, lock.WithFS(s.As(p)), lock.WithProcesses(p))...), p
}

func TestLostLeaseIsReportedAndTouchesNothing(t *testing.T) {
	for name, end := range map[string]func(*memfs.Disk, string){"lapsed": (*memfs.Disk).Lapse, "ended": (*memfs.Disk).EndLease} {
		t.Run(name, func(t *testing.T) {
			s := newLeasedStore()
			a, p := s.handle()
			b, _ := s.handle()
			require.True(t, got(t, a))
			held, cancel := a.Held(t.Context())
			defer cancel()
			s.down.Store(p)
			end(s.Disk, l0("L0"))
			s.down.Store(nil)
			<-held.Done()
			assert.ErrorIs(t, context.Cause(held), lock.ErrLost)
			<-a.Lost()
			if name == "lapsed" {
				assert.False(t, got(t, b), "the store has not ended it yet")
				s.EndLease(l0("L0"))
			}
			require.True(t, got(t, b))
			before := s.Entries(dirPath)
			require.ErrorIs(t, a.Check(), lock.ErrLost)
			require.ErrorIs(t, a.Unlock(), lock.ErrLost)
			assert.Equal(t, before, s.Entries(dirPath))
			require.NoError(t, b.Check())
			require.NoError(t, b.Unlock())
			assert.Zero(t, s.Usage())
		})
	}
}

func TestTokensGrow(t *testing.T) {
	w := newWorld(memfs.Leased())
	last := uint64(0)
	for _, name := range []string{"", "gc", ""} {
		a, _ := w.handle(lock.WithName(name))
		_, ok := a.Token()
		assert.False(t, ok, "it does not hold the lock")
		require.True(t, got(t, a))
		token, ok := a.Token()
		require.True(t, ok)
		assert.Greater(t, token, last)
		last = token
		require.NoError(t, a.Unlock())
	}
	files := newWorld()
	b, _ := files.handle()
	require.True(t, got(t, b))
	_, ok := b.Token()
	assert.False(t, ok, "a file system has none")
}

func TestNamedLeasedLock(t *testing.T) {
	w := newLeasedStore()
	a, _ := w.handle(lock.WithName("gc"))
	require.True(t, got(t, a))
	held, cancel := a.Held(t.Context())
	defer cancel()
	w.EndLease(l0("gc.L0"))
	<-held.Done()
	require.ErrorIs(t, a.Unlock(), lock.ErrLost)

	require.True(t, got(t, a))
	copied := w.Entries(dirPath)["gc.L0"].Data
	require.NoError(t, a.Unlock())
	w.Put(l0("gc.L0"), []byte(copied))
	assert.True(t, got(t, a), "swapped")
	require.NoError(t, a.Unlock())
	assert.Empty(t, w.Names(dirPath))
}

func TestForceBreakOfALease(t *testing.T) {
	w := newWorld(memfs.Leased())
	a, _ := w.handle()
	b, _ := w.handle()
	require.True(t, got(t, a))
	owner, _ := a.Owner()
	require.ErrorIs(t, b.Break(t.Context(), owner.ID), lock.ErrAlive)
	require.NoError(t, b.ForceBreak(t.Context(), owner.ID))
	assert.Empty(t, w.Names(dirPath))
	require.ErrorIs(t, a.Unlock(), lock.ErrLost)
}

func TestUnavailableStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newLeasedStore()
		a, _ := s.handle()
		b, p := s.handle()
		s.down.Store(p)
		_, err := b.TryLock()
		require.ErrorIs(t, err, fsys.ErrUnavailable)
		require.ErrorIs(t, b.LockContext(t.Context()), fsys.ErrUnavailable, "the first attempt fails")
		_, err = b.WaitFree(t.Context())
		require.ErrorIs(t, err, fsys.ErrUnavailable)

		// Those that wait already wait on.
		for _, wait := range []func() error{
			func() error { return errors.Join(b.LockContext(t.Context()), b.Unlock()) },
			func() error { _, err := b.WaitFree(t.Context()); return err },
		} {
			s.down.Store(nil)
			require.True(t, got(t, a))
			done := make(chan error, 1)
			go func() { done <- wait() }()
			synctest.Wait()
			s.down.Store(p)
			require.NoError(t, a.Unlock()) // wakes it
			time.Sleep(10 * time.Minute)   // of the bubble's clock
			synctest.Wait()
			require.Empty(t, done, "it gave up")
			s.down.Store(nil)
			start := time.Now()
			require.NoError(t, <-done)
			assert.Less(t, time.Since(start), time.Second, "it looks often")
		}
	})
}
