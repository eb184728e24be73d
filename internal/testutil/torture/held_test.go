package main

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dirlock/dirlock/lock"
)

// The short form of torture -held.
func TestTortureHeld(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("elsewhere no event tells of a directory that was moved")
	}
	r, err := RunHeld(t.TempDir(), HeldConfig{Holders: 4, For: 2 * time.Second, Loss: 2})
	require.NoError(t, err)
	t.Logf("\n%s", r)
	require.Empty(t, r.Problems)
	require.NotEmpty(t, r.Losses)
}

// It sees a loss without a cause.
func TestTortureHeldBroken(t *testing.T) {
	defer func(was []func(string, *lock.DirLock) error) { harmless = was }(harmless)
	harmless = []func(string, *lock.DirLock) error{func(dir string, l *lock.DirLock) error {
		for l.Check() == nil {
			if err := os.Remove(filepath.Join(dir, "L0")); err != nil {
				return err
			}
		}
		<-l.Lost()
		return nil
	}}
	h := &held{HeldConfig: HeldConfig{Loss: 1}, HeldReport: HeldReport{Losses: map[string][]time.Duration{}}}
	for range 100 { // a turn may do nothing
		err := h.turn(filepath.Join(t.TempDir(), "d"))
		require.True(t, err == nil || errors.Is(err, os.ErrNotExist), "%v", err)
	}
	require.Contains(t, h.Problems[0], "lost without a cause")
}
