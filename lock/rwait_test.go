package lock_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dirlock/dirlock/lock"
	"github.com/dirlock/dirlock/proc/proctest"
)

// waitToRead is waitFor, for reading.
func waitToRead(t *testing.T, l *lock.DirLock) (took func() time.Duration) {
	t.Helper()
	c := make(chan time.Duration, 1)
	start := time.Now()
	go func() {
		assert.NoError(t, l.RLock())
		c <- time.Since(start)
	}()
	synctest.Wait()
	require.Empty(t, c, "RLock does not wait")
	return func() time.Duration { return <-c }
}

// A waiting writer is woken by the last reader, be it that it leaves or that it
// dies. Its claim keeps new readers out, and goes with the wait.
func TestWriterWaitsForReaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk, procs := newWaitDisk(), proctest.NewFake()
		p := procs.Start("dies")
		a, b := disk.process(procs.Start("leaves")), disk.process(p)
		mustTryRead(t, a, true)
		mustTryRead(t, b, true)
		writer, late := disk.process(procs.Start("writer")), disk.process(procs.Start("late"))
		took := waitFor(t, writer)
		s, err := late.Status()
		require.NoError(t, err)
		require.Len(t, s.Waiting, 1)
		state, level := s.ForReading()
		require.Equal(t, lock.Held, state)
		require.Equal(t, s.Waiting[0], level)
		mustTryRead(t, late, false)
		lateTook := waitToRead(t, late)

		time.Sleep(time.Second)
		require.NoError(t, a.RUnlock())
		time.Sleep(time.Second)
		p.Kill()
		require.Equal(t, 2*time.Second, took(), "at the death of the last reader")
		synctest.Wait()
		s, err = late.Status()
		require.NoError(t, err)
		require.Empty(t, s.Waiting, "the claim goes with the wait")

		time.Sleep(time.Second)
		require.NoError(t, writer.Unlock())
		require.Equal(t, 3*time.Second, lateTook(), "at the release")
		require.NoError(t, late.RUnlock())
		require.Empty(t, disk.Names(dirPath))
		disk.idle(t)
		require.Zero(t, disk.Usage())
	})
}

// Who gives up takes the claim back, and wakes the readers that it kept out.
func TestWriterGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk, procs := newWaitDisk(), proctest.NewFake()
		reader, writer, late := disk.process(procs.Start("reader")), disk.process(procs.Start("writer")), disk.process(procs.Start("late"))
		mustTryRead(t, reader, true)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		done := make(chan error, 1)
		go func() { done <- writer.LockContext(ctx) }()
		synctest.Wait()
		took := waitToRead(t, late)
		err := <-done
		var held *lock.HeldError
		require.ErrorAs(t, err, &held)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Contains(t, err.Error(), "shared by reader")
		require.Equal(t, time.Second, took(), "when the claim goes")
		require.NoError(t, reader.RUnlock())
		require.NoError(t, late.RUnlock())
		require.Empty(t, disk.Names(dirPath))
		require.Zero(t, disk.Usage())
	})
}

// A writer that waits for a writer claims nothing.
func TestWriterWaitsForWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk, procs := newWaitDisk(), proctest.NewFake()
		owner, writer := disk.process(procs.Start("owner")), disk.process(procs.Start("writer"))
		mustTry(t, owner, true)
		took := waitFor(t, writer)
		require.Equal(t, []string{"L0"}, disk.Names(dirPath))
		require.NoError(t, owner.Unlock())
		took()
		require.NoError(t, writer.Unlock())
	})
}

// Who works for a reader does not wait for the writer that waits for that reader.
func TestWithinShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk, procs := newWaitDisk(), proctest.NewFake()
		p := procs.Start("reader")
		reader, writer := disk.process(p), disk.process(procs.Start("writer"))
		mustTryRead(t, reader, true)
		took := waitFor(t, writer)
		other := disk.process(procs.Start("other"))
		behind := waitToRead(t, other)
		child := disk.process(procs.Start("child"), lock.WithinShared())
		require.NoError(t, child.RLock())
		require.NoError(t, child.RUnlock())
		mustTryRead(t, other, false)
		require.NoError(t, reader.RUnlock())
		took()
		require.NoError(t, writer.Unlock())
		behind()
		require.NoError(t, other.RUnlock())
		require.Empty(t, disk.Names(dirPath))
	})
}

// The claim of a dead writer is in nobody's way.
func TestClaimOfTheDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk, procs := newWaitDisk(), proctest.NewFake()
		p := procs.Start("writer")
		reader, writer, late := disk.process(procs.Start("reader")), disk.process(p), disk.process(procs.Start("late"))
		mustTryRead(t, reader, true)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- writer.LockContext(ctx) }()
		synctest.Wait()
		took := waitToRead(t, late)
		time.Sleep(time.Second)
		p.Kill()
		require.Equal(t, time.Second, took())
		require.Equal(t, []string{"L0"}, disk.Names(dirPath))
		cancel()
		require.Error(t, <-done)
		require.NoError(t, reader.RUnlock())
		require.NoError(t, late.RUnlock())
		require.Empty(t, disk.Names(dirPath))
	})
}

// RWaitFree waits for writers only, and for those that wait to be one.
func TestRWaitFree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk, procs := newWaitDisk(), proctest.NewFake()
		a, b, c := disk.process(procs.Start("a")), disk.process(procs.Start("b")), disk.process(procs.Start("c"))
		mustTryRead(t, a, true)
		_, err := c.RWaitFree(t.Context())
		require.NoError(t, err)
		took := waitFor(t, b)
		ended := make(chan time.Duration, 2)
		start := time.Now()
		go func() {
			_, err := c.RWaitFree(t.Context())
			assert.NoError(t, err)
			ended <- time.Since(start)
		}()
		time.Sleep(time.Second)
		require.Empty(t, ended)
		require.NoError(t, a.RUnlock())
		took()
		time.Sleep(time.Second)
		require.NoError(t, b.Unlock())
		require.Equal(t, 2*time.Second, <-ended)
		disk.idle(t)
	})
}
