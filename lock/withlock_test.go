package lock_test

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dirlock/dirlock/fsys/memfs"
	"github.com/dirlock/dirlock/lock"
	"github.com/dirlock/dirlock/proc/proctest"
)

func TestWithLock(t *testing.T) {
	dir := t.TempDir()
	other := lock.New(dir)
	why := errors.New("why")
	for _, want := range []error{nil, why} {
		calls := 0
		err := lock.WithLock(t.Context(), dir, func(ctx context.Context) error {
			calls++
			require.ErrorIs(t, other.LockNow(), lock.ErrHeld)
			require.NoError(t, ctx.Err())
			return want
		})
		require.Equal(t, 1, calls)
		require.Equal(t, want != nil, err != nil)
		require.True(t, errors.Is(err, want))
		require.Empty(t, names(t, dir))
	}
}

// The lock is released whatever happens inside.
func TestWithLockReleasesAtPanic(t *testing.T) {
	dir := t.TempDir()
	require.PanicsWithValue(t, "boo", func() {
		_ = lock.WithLock(t.Context(), dir, func(context.Context) error { panic("boo") })
	})
	require.Empty(t, names(t, dir))
}

// Without the lock nothing is called.
func TestWithLockFails(t *testing.T) {
	never := func(context.Context) error { t.Error("called"); return nil }
	missing := filepath.Join(t.TempDir(), "missing")
	wantError(t, lock.WithLock(t.Context(), missing, never), "lock", missing, fs.ErrNotExist)

	synctest.Test(t, func(t *testing.T) {
		disk, procs := newWaitDisk(), proctest.NewFake()
		a, b := disk.process(procs.Start("a")), procs.Start("b")
		require.NoError(t, a.Lock())
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := lock.WithLock(ctx, dirPath, never, lock.WithFS(disk.As(b)), lock.WithProcesses(b))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		_ = wantHeld(t, err, dirPath)
		require.NoError(t, a.Unlock())
	})
}

// Work under a lock that was lost ends, and the error says so, whether Unlock
// finds the lock or not.
func TestWithLockLost(t *testing.T) {
	for name, test := range map[string]struct {
		undo func(*memfs.Disk)
		err  error // of do
	}{
		"lost":                  {func(*memfs.Disk) {}, context.Canceled},
		"there again":           {func(d *memfs.Disk) { d.Move(at("old"), at("L0")) }, context.Canceled},
		"nobody says a word":    {func(*memfs.Disk) {}, nil},
		"not even as it's back": {func(d *memfs.Disk) { d.Move(at("old"), at("L0")) }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				disk, p := newWaitDisk(), proctest.NewFake().Start("a")
				err := lock.WithLock(t.Context(), dirPath, func(ctx context.Context) error {
					disk.Move(at("L0"), at("old"))
					<-ctx.Done()
					test.undo(disk.Disk)
					return test.err
				}, lock.WithFS(disk.As(p)), lock.WithProcesses(p))
				require.ErrorIs(t, err, lock.ErrLost)
				if test.err != nil {
					require.ErrorIs(t, err, test.err)
				}
				disk.idle(t)
			})
		})
	}
}
