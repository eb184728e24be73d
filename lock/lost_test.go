package lock_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dirlock/dirlock/fsys"
	"github.com/dirlock/dirlock/fsys/memfs"
	"github.com/dirlock/dirlock/internal/testutil/wine"
	"github.com/dirlock/dirlock/lock"
	"github.com/dirlock/dirlock/proc/proctest"
)

// wantCause checks that a context has ended, and why.
func wantCause(t *testing.T, ctx context.Context, cause error) {
	t.Helper()
	require.True(t, isClosed(ctx.Done()))
	require.ErrorIs(t, ctx.Err(), context.Canceled)
	require.ErrorIs(t, context.Cause(ctx), cause)
	if !errors.Is(cause, context.Canceled) {
		wantError(t, context.Cause(ctx), "hold", dirPath, cause)
	}
}

// An event tells at once. Where none does, the beat does.
func TestLost(t *testing.T) {
	for name, test := range map[string]struct {
		options []memfs.Option
		opts    []lock.Option
		within  time.Duration
	}{
		"events":            {nil, nil, 0},
		"lost events":       {[]memfs.Option{memfs.LostEvents(true)}, nil, lock.LossBeat},
		"no events":         {[]memfs.Option{memfs.NoEvents()}, nil, lock.LossPoll},
		"not asked for":     {nil, []lock.Option{lock.WithoutEvents()}, lock.LossPoll},
		"network":           {[]memfs.Option{memfs.LostEvents(true), memfs.Location(fsys.Location{})}, nil, lock.LossPoll},
		"overlay":           {[]memfs.Option{memfs.LostEvents(true), memfs.Location(fsys.Location{Local: true})}, nil, lock.LossPoll},
		"network, by event": {[]memfs.Option{memfs.Location(fsys.Location{})}, nil, 0},
	} {
		for how, lose := range losses {
			t.Run(name+"/"+how, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					disk := newWaitDisk(test.options...)
					logged := &waitLog{}
					l := disk.process(proctest.NewFake().Start("a"), append(test.opts, lock.WithLogger(slog.New(logged)))...)
					require.NoError(t, l.Lock())
					lost := l.Lost()
					ctx, cancel := l.Held(t.Context())
					defer cancel()
					time.Sleep(time.Hour)
					require.False(t, isClosed(lost), "nothing has happened")
					require.NoError(t, ctx.Err())

					start := time.Now()
					lose(disk.Disk)
					if test.within == 0 {
						require.True(t, isClosed(lost))
					}
					<-lost
					require.LessOrEqual(t, time.Since(start), test.within)
					wantCause(t, ctx, lock.ErrLost)
					require.True(t, isClosed(l.Lost()), "asked again")
					require.Equal(t, 1, logged.count("ERROR lost"))

					if how == "directory moved" {
						require.NoError(t, l.Unlock())
						require.Empty(t, disk.Names("/moved"))
					} else {
						require.ErrorIs(t, l.Unlock(), lock.ErrLost)
					}
					require.Equal(t, 1, logged.count("ERROR lost"), "told already")
					disk.idle(t)
				})
			})
		}
	}
}

// A holder that never asks has no watch, and no goroutine.
func TestNoWatchUnasked(t *testing.T) {
	disk := newWaitDisk()
	l := disk.process(proctest.NewFake().Start("a"))
	before := runtime.NumGoroutine()
	require.NoError(t, l.Lock())
	require.Equal(t, before, runtime.NumGoroutine())
	disk.idle(t)
	require.NoError(t, l.Unlock())
}

// However often a holder asks, it has one watch, which ends with Unlock.
func TestUnlockEndsTheWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := newWaitDisk()
		l := disk.process(proctest.NewFake().Start("a"))
		for range 3 {
			require.NoError(t, l.Lock())
			lost := l.Lost()
			require.Equal(t, lost, l.Lost())
			ctx, cancel := l.Held(t.Context())
			short, end := l.Held(t.Context())
			end()
			wantCause(t, short, context.Canceled)
			synctest.Wait()
			require.Equal(t, 2, disk.Usage().Watches, "of the file and of the directory")
			require.NoError(t, ctx.Err())

			require.NoError(t, l.Unlock())
			wantCause(t, ctx, lock.ErrNotHeld)
			require.False(t, isClosed(lost), "released is not lost")
			disk.idle(t)
			cancel()
		}
	})
}

// What holds nothing has nothing that could last.
func TestLostWithoutLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newWaitDisk().process(proctest.NewFake().Start("a"))
		require.True(t, isClosed(l.Lost()))
		ctx, cancel := l.Held(t.Context())
		defer cancel()
		wantCause(t, ctx, lock.ErrNotHeld)
	})
}

// The context ends with the one that it is made of, and the lock does not.
func TestHeldEndsWithItsParent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newWaitDisk().process(proctest.NewFake().Start("a"))
		require.NoError(t, l.Lock())
		why := errors.New("why")
		parent, end := context.WithCancelCause(t.Context())
		ctx, cancel := l.Held(parent)
		defer cancel()
		end(why)
		require.True(t, isClosed(ctx.Done()))
		require.Equal(t, why, context.Cause(ctx))
		require.NoError(t, l.Check())
		require.NoError(t, l.Unlock())
	})
}

// Unlock can be the first to find out.
func TestUnlockFindsTheLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := newWaitDisk(memfs.NoEvents())
		logged := &waitLog{}
		l := disk.process(proctest.NewFake().Start("a"), lock.WithLogger(slog.New(logged)))
		require.NoError(t, l.Lock())
		lost := l.Lost()
		ctx, cancel := l.Held(t.Context())
		defer cancel()
		disk.Remove(at("L0"))
		require.ErrorIs(t, l.Unlock(), lock.ErrLost)
		require.True(t, isClosed(lost))
		wantCause(t, ctx, lock.ErrLost)
		require.Equal(t, 1, logged.count("ERROR lost"))
	})
}

// An Unlock that fails leaves the lock, and the watch.
func TestFailedUnlockKeepsTheWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := newWaitDisk()
		l := disk.process(proctest.NewFake().Start("a"))
		require.NoError(t, l.Lock())
		lost := l.Lost()
		disk.Before(failing("remove"))
		require.ErrorIs(t, l.Unlock(), errInjected)
		require.False(t, isClosed(lost))
		disk.Before(nil)
		disk.Remove(at("L0"))
		require.True(t, isClosed(lost))
	})
}

// A failure of the file system says nothing about the lock. Neither does one of
// the watch, which begins when it can.
func TestFailureIsNoLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := newWaitDisk()
		logged := &waitLog{}
		l := disk.process(proctest.NewFake().Start("a"), lock.WithLogger(slog.New(logged)))
		require.NoError(t, l.Lock())
		disk.Before(failing("intact", "watch"))
		lost := l.Lost()
		time.Sleep(time.Hour)
		require.False(t, isClosed(lost))
		require.Equal(t, 1, logged.count("DEBUG polling the held lock, for want of events: watch"))
		disk.Before(nil)
		time.Sleep(lock.LossPoll)
		require.False(t, isClosed(lost))
		require.Equal(t, 2, disk.Usage().Watches, "of the file and of the directory")
		disk.Remove(at("L0"))
		require.True(t, isClosed(lost))
	})
}

// Events without a loss are looked at, and the next one is heard.
func TestEventIsNoLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := newWaitDisk()
		l := disk.process(proctest.NewFake().Start("a"))
		require.NoError(t, l.Lock())
		lost := l.Lost()
		for range 3 {
			disk.Write(at("L0"), []byte(disk.Entries(dirPath)["L0"].Data))
			disk.Link(at("L0"), at("copy"))
			disk.Remove(at("copy"))
			require.False(t, isClosed(lost))
		}
		disk.Remove(at("L0"))
		require.True(t, isClosed(lost))
	})
}

// A watch may end with what it has told. Where no other one can begin, as in a
// directory that was moved, no event is counted on.
func TestWatchEndsWithItsEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := newWaitDisk()
		l := disk.process(proctest.NewFake().Start("a"))
		require.NoError(t, l.Lock())
		lost := l.Lost()
		synctest.Wait()
		disk.Before(failing("watch"))
		disk.Write(at("L0"), []byte(disk.Entries(dirPath)["L0"].Data))
		require.False(t, isClosed(lost))
		disk.Set(memfs.LostEvents(true))
		disk.Remove(at("L0"))
		start := time.Now()
		<-lost
		require.LessOrEqual(t, time.Since(start), lock.LossPoll)
	})
}

// A loss that is undone has happened all the same.
func TestLossStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := newWaitDisk()
		l := disk.process(proctest.NewFake().Start("a"))
		require.NoError(t, l.Lock())
		lost := l.Lost()
		disk.Move(at("L0"), at("old"))
		require.True(t, isClosed(lost))
		disk.Move(at("old"), at("L0"))
		require.True(t, isClosed(l.Lost()))
		require.NoError(t, l.Check())
		require.NoError(t, l.Unlock())
		disk.idle(t)
	})
}

// The work of an invented process ends when a test kills it, with an event or
// without, so that nothing is left in the bubble.
func TestKilledProcessWatchesNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk, p := newWaitDisk(), proctest.NewFake().Start("a")
		l := disk.process(p)
		require.NoError(t, l.Lock())
		lost := l.Lost()
		ctx, cancel := l.Held(t.Context())
		defer cancel()
		p.Kill()
		<-ctx.Done()
		wantCause(t, ctx, os.ErrProcessDone)
		require.False(t, isClosed(lost))
		require.Zero(t, disk.Usage())
	})
}

// realLosses are losses on the real file system.
var realLosses = map[string]func(dir string) error{
	"rm": func(dir string) error { return os.Remove(filepath.Join(dir, "L0")) },
	"mv": func(dir string) error { return os.Rename(filepath.Join(dir, "L0"), filepath.Join(dir, "old")) },
	"replace": func(dir string) error {
		if err := os.WriteFile(filepath.Join(dir, "new"), []byte("hello"), 0o666); err != nil {
			return err
		}
		return os.Rename(filepath.Join(dir, "new"), filepath.Join(dir, "L0"))
	},
	"rewrite": func(dir string) error { return os.WriteFile(filepath.Join(dir, "L0"), []byte("hello"), 0o666) },
	"rm -rf":  os.RemoveAll,
}

// On the real file system an event tells, where there are events: the beat would
// take half a minute at least.
func TestLostForReal(t *testing.T) {
	for name, lose := range realLosses {
		t.Run(name, func(t *testing.T) {
			if name != "rewrite" {
				wine.Skip(t, "version 8 does not remove or replace a file that is open")
			}
			l := lock.New(filepath.Join(t.TempDir(), "dir"))
			dir := strings.TrimPrefix(l.String(), "lock of ")
			require.NoError(t, os.Mkdir(dir, 0o777))
			require.NoError(t, l.Lock())
			ctx, cancel := l.Held(t.Context())
			defer cancel()
			require.NoError(t, lose(dir))
			select {
			case <-ctx.Done():
				require.ErrorIs(t, context.Cause(ctx), lock.ErrLost)
			case <-time.After(lock.LossBeat / 4):
				t.Fatal("not told")
			}
			require.ErrorIs(t, l.Unlock(), lock.ErrLost)
		})
	}
}

// BenchmarkLost measures how long it takes until a holder is told of the removal
// of its file.
func BenchmarkLost(b *testing.B) {
	l := lock.New(b.TempDir())
	dir := strings.TrimPrefix(l.String(), "lock of ")
	var took []time.Duration
	for b.Loop() {
		require.NoError(b, l.Lock())
		lost := l.Lost()
		time.Sleep(time.Millisecond) // the watch has begun: this is no test
		start := time.Now()
		require.NoError(b, os.Remove(filepath.Join(dir, "L0")))
		<-lost
		took = append(took, time.Since(start))
		_ = l.Unlock()
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "median-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
}
