package lock_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spf13/afero"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dirlock/dirlock/fsys"
	"github.com/dirlock/dirlock/fsys/aferofs"
	"github.com/dirlock/dirlock/fsys/memfs"
	"github.com/dirlock/dirlock/internal/testutil/wine"
	"github.com/dirlock/dirlock/lock"
	"github.com/dirlock/dirlock/proc/proctest"
)

// A missing directory is made, with those above it, by whatever acquires the lock.
func TestMkdir(t *testing.T) {
	for name, f := range map[string]fsys.FS{
		"disk": nil, "memory": memfs.New("/tmp"), "afero": aferofs.New(afero.NewMemMapFs()),
	} {
		t.Run(name, func(t *testing.T) {
			opts := []lock.Option{lock.WithMkdir()}
			if f != nil {
				opts = append(opts, lock.WithFS(f))
			}
			base := t.TempDir()
			if name == "memory" { // its paths have no drive
				base = filepath.FromSlash("/tmp/base")
			}
			for sub, acquire := range map[string]func(*lock.DirLock) error{
				"now":  (*lock.DirLock).LockNow,
				"wait": (*lock.DirLock).Lock,
				"named": func(l *lock.DirLock) error {
					_, err := l.TryLock()
					return err
				},
			} {
				dir := filepath.Join(base, sub, "key")
				more := opts
				if sub == "named" {
					more = append(more, lock.WithName("gc"))
				}
				l := lock.New(dir, more...)
				_, err := l.Status()
				wantError(t, err, "status", dir, fs.ErrNotExist)
				require.NoError(t, acquire(l))
				require.NoError(t, l.Check())
				require.NoError(t, l.Unlock())
			}
		})
	}
}

// What cannot be made is an error, and says what was in the way.
func TestMkdirFails(t *testing.T) {
	base := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(base, "file"), nil, 0o666))
	dir := filepath.Join(base, "file", "key")
	err := lock.New(dir, lock.WithMkdir()).LockNow()
	require.Error(t, err)
	require.NotErrorIs(t, err, lock.ErrHeld)

	// The file system has to be able to.
	err = lock.New("dir", lock.WithMkdir(), lock.WithFS(notMaking{})).LockNow()
	wantError(t, err, "lock", "dir", errors.ErrUnsupported)
}

// notMaking is a file system without directories.
type notMaking struct{}

func (notMaking) Dir(string) (fsys.Dir, error) { return missing{}, nil }

type missing struct{ fsys.Dir }

func (missing) Path() string                                { return "dir" }
func (missing) Create(string, []byte) (fsys.File, error)    { return nil, fs.ErrNotExist }
func (missing) Read(string) (fsys.Snapshot, error)          { return fsys.Snapshot{}, fs.ErrNotExist }
func (missing) Witnesses() (kind fsys.Witness, err error)   { return fsys.NoWitness, nil }
func (missing) Locate() (location fsys.Location, err error) { return fsys.Location{}, nil }

// The previous owner removes the directory just before a step of the next one.
func TestMkdirAgain(t *testing.T) {
	for _, step := range []string{"open .", "read L0", "create L0", "witnesses", "locate"} {
		t.Run(step, func(t *testing.T) {
			w := newWorld()
			l, _ := w.handle(lock.WithMkdir())
			w.before = ahead(step, 1, func() { w.Remove(dirPath) })
			mustTry(t, l, true)
			require.NoError(t, l.Check())
			require.NoError(t, l.Unlock())
			require.Empty(t, w.names())

			without, _ := w.handle()
			w.before = ahead(step, 1, func() { w.Remove(dirPath) })
			_, err := without.TryLock()
			require.ErrorIs(t, err, fs.ErrNotExist)
		})
	}
}

// Where the directory goes again and again, somebody has the lock again and again.
func TestMkdirIsBounded(t *testing.T) {
	w := newWorld()
	l, _ := w.handle(lock.WithMkdir())
	w.before = func(op memfs.Op) error {
		if op.String() == "create L0" {
			w.Remove(dirPath)
		}
		return nil
	}
	mustTry(t, l, false)
	require.ErrorIs(t, l.LockNow(), lock.ErrHeld)
	times := 5 // it takes more than that to give up
	w.before = func(op memfs.Op) error {
		if op.String() == "create L0" && times > 0 {
			times--
			w.Remove(dirPath)
		}
		return nil
	}
	mustTry(t, l, true)
	require.Zero(t, times)
	require.NoError(t, l.Unlock())
}

// A waiter gets the lock of the directory that it makes again.
func TestMkdirWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk, procs := newWaitDisk(), proctest.NewFake()
		a, b := disk.process(procs.Start("a")), disk.process(procs.Start("b"), lock.WithMkdir())
		require.NoError(t, a.Lock())
		took := waitFor(t, b)
		disk.Before(func(op memfs.Op) error { // as soon as b is awake
			if op.Name == "create" {
				disk.Before(nil)
				disk.Remove(dirPath)
			}
			return nil
		})
		require.NoError(t, a.Unlock())
		require.Less(t, took(), time.Second)
		require.NoError(t, b.Check())
		require.NoError(t, b.Unlock())
		disk.idle(t)
	})
}

// Users of a directory that each removes after use never meet in it.
func TestMkdirCleanup(t *testing.T) {
	wine.Skip(t, "a directory that is open cannot be removed")
	dir := filepath.Join(t.TempDir(), "key")
	var inside, rounds atomic.Int32
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 100 {
				err := lock.WithLock(t.Context(), dir, func(ctx context.Context) error {
					assert.EqualValues(t, 1, inside.Add(1))
					rounds.Add(1)
					inside.Add(-1)
					return ctx.Err()
				}, lock.WithMkdir())
				if !assert.NoError(t, err) {
					return
				}
				_ = os.Remove(dir) // fails if another is inside
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 400, rounds.Load())
	_ = os.Remove(dir)
	require.NoDirExists(t, dir)
}
