package lock_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dirlock/dirlock/lock"
	"github.com/dirlock/dirlock/proc"
	"github.com/dirlock/dirlock/proc/proctest"
)

// wantHeld checks that an error says who has the lock.
func wantHeld(t *testing.T, err error, dir string) *lock.HeldError {
	t.Helper()
	wantError(t, err, "lock", dir, lock.ErrHeld)
	var held *lock.HeldError
	require.ErrorAs(t, err, &held)
	require.Equal(t, dir, held.Dir)
	return held
}

func TestLockNow(t *testing.T) {
	dir := t.TempDir()
	a, b := lock.New(dir, lock.WithCommand("backup")), lock.New(dir)
	require.NoError(t, a.LockNow())
	owner, _ := a.Owner()

	err := b.LockNow()
	held := wantHeld(t, err, dir)
	require.Equal(t, owner, held.Owner())
	require.Equal(t, proc.Alive, held.Level.State)
	require.Equal(t, filepath.Join(dir, "L0"), held.Level.Path)
	require.NotEmpty(t, held.Level.Reason)
	require.NoError(t, held.Err)
	require.NotErrorIs(t, err, context.DeadlineExceeded)
	require.EqualError(t, err, "lock "+dir+": held by "+owner.String()+" since "+
		owner.Since.Format(time.RFC3339)+" (wait for it, or stop it)")

	// The lock is not re-entrant, and the handle says who has it.
	require.Equal(t, owner, wantHeld(t, a.LockNow(), dir).Owner())

	require.NoError(t, a.Unlock())
	require.NoError(t, b.LockNow())
	require.NoError(t, b.Unlock())

	// Other errors are no contention.
	missing := filepath.Join(dir, "missing")
	err = lock.New(missing).LockNow()
	wantError(t, err, "lock", missing, fs.ErrNotExist)
	require.NotErrorIs(t, err, lock.ErrHeld)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "L0"), []byte("data"), 0o666))
	require.NotErrorIs(t, b.LockNow(), lock.ErrHeld)
}

// A wait that gives up says for whom it waited, and the error is that of the
// context all the same.
func TestLockContextSaysWhoHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk, procs := newWaitDisk(), proctest.NewFake()
		a, p := disk.process(procs.Start("a")), procs.Start("b")
		require.NoError(t, a.Lock())
		owner, _ := a.Owner()

		// The second goroutine stands in line behind the first.
		var wg sync.WaitGroup
		for _, l := range []*lock.DirLock{disk.process(p), disk.process(p)} {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				err := l.LockContext(ctx)
				require.ErrorIs(t, err, context.DeadlineExceeded)
				held := wantHeld(t, err, dirPath)
				require.Equal(t, owner, held.Owner())
				require.Equal(t, context.DeadlineExceeded, held.Err)
				require.Contains(t, err.Error(), owner.String())
				require.Contains(t, err.Error(), "context deadline exceeded")
			})
		}
		wg.Wait()

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err := disk.process(p).LockContext(ctx)
		require.ErrorIs(t, err, context.Canceled)
		require.NotErrorIs(t, err, lock.ErrHeld, "nobody has looked")
		require.NoError(t, a.Unlock())
		disk.idle(t)
	})
}

// An error that is not the context's stays as it is, whoever has the lock.
func TestLockContextFailsWhileHeld(t *testing.T) {
	disk, procs := newWaitDisk(), proctest.NewFake()
	a, b := disk.process(procs.Start("a")), disk.process(procs.Start("b"))
	require.NoError(t, a.Lock())
	lock.BeforePause(b, func(time.Duration) { disk.Put(at("L0"), []byte("hello")) })
	err := b.LockContext(t.Context())
	require.ErrorIs(t, err, lock.ErrNotRecord)
	require.NotErrorIs(t, err, lock.ErrHeld)
}

// What is said, and what there is to do, depends on what is known of the owner.
func TestHeldErrorMessages(t *testing.T) {
	owner := lock.Owner{ID: "0b7fd5f3a0f14d5b8f3d4c1e2a697b10", Identity: proc.Identity{PID: 7, Command: "backup", Host: "h"}}
	dated := owner
	dated.Since = time.Date(2026, 1, 2, 3, 4, 5, 6, time.FixedZone("", 3600))
	for want, e := range map[string]lock.HeldError{
		"another process has the lock (wait for it, or stop it)":                                                        {},
		"held by backup (process 7) on h since 2026-01-02T02:04:05Z (wait for it, or stop it)":                          {Level: lock.Level{Owner: dated, State: proc.Alive}},
		"held by backup (process 7) on h (wait for it, or stop it): x":                                                  {Level: lock.Level{Owner: owner, State: proc.Alive}, Err: errors.New("x")},
		"backup (process 7) on h is taking the lock over (wait for it, or stop it)":                                     {Level: lock.Level{N: 2, Owner: owner, State: proc.Alive}},
		"another process is taking the lock over from backup (process 7) on h, which is dead (wait for it, or stop it)": {Level: lock.Level{Owner: owner, State: proc.Dead}},
		"held by backup (process 7) on h (it cannot be told from here whether it still runs: of another machine; if it does not, free the lock with: dirlock break --owner 0b7fd5f3a0f14d5b8f3d4c1e2a697b10 /d)": {
			Dir: "/d", Level: lock.Level{Owner: owner, State: proc.Unknown, Reason: "of another machine"},
		},
	} {
		require.EqualError(t, &e, want)
	}
}
