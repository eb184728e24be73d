//go:build linux

package docs_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dirlock/dirlock/fsys/memfs"
	"github.com/dirlock/dirlock/lock"
	"github.com/dirlock/dirlock/proc/proctest"
)

// work is the example of recipes.md.
func work(ctx context.Context, dir string, do func() error) (err error) {
	l := lock.New(dir)
	if err := l.LockContext(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Unlock()) }()
	return do()
}

// TestTakesOverFromTheDead is the example of testing.md.
func TestTakesOverFromTheDead(t *testing.T) {
	processes := proctest.NewFake()
	server, backup := processes.Start("server"), processes.Start("backup")
	disk := memfs.New("/srv/data")
	newLock := func(p *proctest.FakeProcess) lock.TryLockerSafe {
		return lock.New("/srv/data", lock.WithFS(disk.As(p)), lock.WithProcesses(p))
	}
	a, b := newLock(server), newLock(backup)

	ok, err := a.TryLock()
	require.NoError(t, err)
	require.True(t, ok)

	ok, err = b.TryLock()
	require.NoError(t, err)
	require.False(t, ok, "the server lives")

	server.Kill()

	ok, err = b.TryLock()
	require.NoError(t, err)
	require.True(t, ok, "the server is dead")
}
