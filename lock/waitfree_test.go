package lock_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dirlock/dirlock/lock"
)

func TestWaitFree(t *testing.T) {
	dir := t.TempDir()
	s, err := lock.New(dir).WaitFree(t.Context())
	require.NoError(t, err)
	state, _ := s.State()
	require.Equal(t, lock.Free, state)

	l := lock.New(dir)
	require.NoError(t, l.Lock())
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	s, err = lock.New(dir).WaitFree(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	state, _ = s.State()
	require.Equal(t, lock.Held, state)
	//lint:ignore SA1012 it is to fail
	_, err = lock.New(dir).WaitFree(nil)
	require.Error(t, err)

	// It leaves nothing in the directory meanwhile, and wakes up.
	done := make(chan error, 1)
	go func() {
		_, err := lock.New(dir).WaitFree(t.Context())
		done <- err
	}()
	names, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, names, 1)
	require.NoError(t, l.Unlock())
	require.NoError(t, <-done)

	// What cannot be read is not free, and nothing to wait for.
	require.NoError(t, os.WriteFile(filepath.Join(dir, "L0"), []byte("junk"), 0o644))
	s, err = lock.New(dir).WaitFree(t.Context())
	require.NoError(t, err)
	state, _ = s.State()
	require.Equal(t, lock.Unreadable, state)
	_, err = lock.New(filepath.Join(dir, "missing")).WaitFree(t.Context())
	require.ErrorIs(t, err, os.ErrNotExist)
}
