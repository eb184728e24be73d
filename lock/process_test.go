package lock_test

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dirlock/dirlock/fsys"
	"github.com/dirlock/dirlock/fsys/osfs"
	"github.com/dirlock/dirlock/lock"
)

// After kill -9 of the holder the lock is free at once.
func TestProcessKilled(t *testing.T) {
	dir := t.TempDir()
	holder := startPeer(t, dir)
	holder.must("try", "true")
	other := startPeer(t, dir)
	other.must("try", "false")

	holder.kill()
	start := time.Now()
	other.must("try", "true")
	t.Logf("recovered in %v", time.Since(start))
	require.Equal(t, []string{"L0"}, names(t, dir))
	other.must("check", "ok")
	other.must("unlock", "ok")
	require.Empty(t, names(t, dir))
}

// A process is killed ahead of every operation of an acquisition, a recovery
// and an Unlock. Whatever it leaves, the next one takes the lock, and leaves
// nothing.
func TestProcessKilledAtEveryStep(t *testing.T) {
	for _, test := range []struct {
		name  string
		stale []int // levels
	}{
		{"plain", nil},
		{"recovery", []int{0}},
		{"recovery of a recovery", []int{0, 1}},
		{"recovery with leftovers", []int{0, 1, 2, 4}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			steps := 0
			for n := 1; ; n++ {
				dir := t.TempDir()
				if len(test.stale) > 0 {
					putStale(t, dir, test.stale...)
				}
				a := startPeer(t, dir)
				a.must(fmt.Sprint("killat ", n), "ok")
				if a.do("try") == "true" && a.do("unlock") == "ok" {
					require.Greater(t, n, 5)
					require.Empty(t, names(t, dir))
					break
				}
				a.reap()
				steps++
				for _, name := range names(t, dir) {
					require.Regexp(t, "^L[0-9]$", name, "killed ahead of operation %d", n)
				}
				mustTake(t, dir)
			}
			t.Logf("killed at %d steps", steps)
		})
	}
}

// Crashes in a row, in real processes, each just before it replaces L0: levels
// have no limit.
func TestProcessCrashesInARow(t *testing.T) {
	dir := t.TempDir()
	putStale(t, dir, 0)
	for n := range 20 {
		a := startPeer(t, dir)
		a.must("killat replace", "ok")
		require.Empty(t, a.do("try"))
		a.reap()
		require.Len(t, names(t, dir), n+2)
	}
	mustTake(t, dir)
}

// A handle keeps to the directory that it was made for.
func TestProcessChdir(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	a := startPeer(t, dir)
	a.must("chdir "+dir, "ok")
	a.must("new .", "ok")
	a.must("chdir "+elsewhere, "ok")
	a.must("try", "true")
	require.Equal(t, []string{"L0"}, names(t, dir))
	require.Empty(t, names(t, elsewhere))
	a.must("chdir /", "ok")
	a.must("check", "ok")
	a.must("unlock", "ok")
	require.Empty(t, names(t, dir))
}

// Neither the time zone nor the locale nor the name of the program is evidence.
func TestProcessSurroundings(t *testing.T) {
	dir := t.TempDir()
	with := func(env ...string) func(*exec.Cmd) {
		return func(c *exec.Cmd) { c.Env = append(c.Env, env...) }
	}
	holder := startPeer(t, dir, with("TZ=Asia/Tokyo", "LANG=C"))
	holder.must("try", "true")
	others := []*peer{
		startPeer(t, dir, with("TZ=America/New_York")),
		startPeer(t, dir, with("LANG=tr_TR.UTF-8", "LC_ALL=tr_TR.UTF-8")),
		startPeer(t, dir, with("TZ=", "HOSTNAME=other", "HOME=/", "TMPDIR=/nonexistent", "PATH=")),
		startPeer(t, dir, func(c *exec.Cmd) { c.Args[0] = "another-name" }),
	}
	for _, o := range others {
		o.must("try", "false")
	}
	holder.must("check", "ok")
	holder.kill()
	for i, o := range others {
		o.must("try", "true")
		if i%2 == 0 {
			o.must("unlock", "ok")
		} else {
			o.kill()
		}
	}
	mustTake(t, dir)
}

// A handle that is forgotten keeps the lock for as long as the process lives.
func TestProcessForgets(t *testing.T) {
	dir := t.TempDir()
	holder := startPeer(t, dir)
	holder.must("try", "true")
	holder.must("forget", "ok")
	d, err := osfs.New().Dir(dir)
	require.NoError(t, err)
	if kind, err := fsys.Witnesses(d); err == nil && kind != fsys.NoWitness {
		s, err := d.Read("L0")
		require.NoError(t, err)
		require.Equal(t, kind, s.Witness, "the garbage collector closed the file")
	}
	mustTry(t, lock.New(dir), false)
	holder.kill()
	mustTake(t, dir)
}

// A child that outlives the holder does not keep the lock.
func TestProcessChild(t *testing.T) {
	dir := t.TempDir()
	holder := startPeer(t, dir)
	holder.must("try", "true")
	pid, err := strconv.Atoi(holder.do("child"))
	require.NoError(t, err)
	child, err := os.FindProcess(pid)
	require.NoError(t, err)
	defer child.Kill()
	mustTry(t, lock.New(dir), false)
	holder.kill()
	mustTake(t, dir)
}

// Goroutines with a handle each, and with one for all.
func TestProcessGoroutines(t *testing.T) {
	for _, shared := range []bool{false, true} {
		t.Run(fmt.Sprintf("shared %v", shared), func(t *testing.T) {
			const goroutines, rounds = 16, 50
			dir := t.TempDir()
			one := lock.New(dir)
			var inside, acquired atomic.Int32
			plain := 0 // the race detector watches it
			var wg sync.WaitGroup
			for range goroutines {
				wg.Go(func() {
					l := one
					if !shared {
						l = lock.New(dir)
					}
					for range rounds {
						ok, err := l.TryLock()
						if err != nil {
							t.Error(err)
							return
						}
						if !ok {
							continue
						}
						if n := inside.Add(1); n != 1 {
							t.Errorf("%d owners", n)
						}
						plain++
						if err := l.Check(); err != nil {
							t.Error(err)
						}
						inside.Add(-1)
						acquired.Add(1)
						if err := l.Unlock(); err != nil {
							t.Error(err)
						}
					}
				})
			}
			wg.Wait()
			require.Positive(t, acquired.Load())
			require.EqualValues(t, acquired.Load(), plain)
			require.Empty(t, names(t, dir))
			t.Logf("%d acquisitions", plain)
		})
	}
}

// The same with Lock: everybody gets his turn.
func TestProcessGoroutinesWait(t *testing.T) {
	const goroutines, rounds = 8, 20
	dir := t.TempDir()
	plain := 0
	var wg sync.WaitGroup
	for range goroutines {
		wg.Go(func() {
			l := lock.New(dir).Must()
			for range rounds {
				l.Lock()
				plain++
				l.Unlock()
			}
		})
	}
	wg.Wait()
	require.Equal(t, goroutines*rounds, plain)
	require.Empty(t, names(t, dir))
}

// Goroutines that recover one stale lock, and stale levels, at the same time:
// one gets it.
func TestProcessGoroutinesRecover(t *testing.T) {
	const goroutines = 8
	for round := range 10 {
		dir := t.TempDir()
		putStale(t, dir, []int{0, 1, 2, 3}[:1+round%4]...)
		var owners atomic.Int32
		var wg sync.WaitGroup
		start := make(chan struct{})
		var got [goroutines]*lock.DirLock
		for i := range goroutines {
			wg.Go(func() {
				l := lock.New(dir)
				<-start
				ok, err := l.TryLock()
				if err != nil {
					t.Error(err)
				}
				if ok {
					owners.Add(1)
					got[i] = l
				}
			})
		}
		close(start)
		wg.Wait()
		require.EqualValues(t, 1, owners.Load())
		require.Equal(t, []string{"L0"}, names(t, dir))
		for _, l := range got {
			if l != nil {
				require.NoError(t, l.Unlock())
			}
		}
		require.Empty(t, names(t, dir))
	}
}
