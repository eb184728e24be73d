package osfs

import (
	"context"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/dirlock/dirlock/fsys"
)

func openForTest(t *testing.T, path string) *dir {
	t.Helper()
	d, err := New().Dir(path)
	require.NoError(t, err)
	o, err := d.(fsys.Opener).Open()
	require.NoError(t, err)
	t.Cleanup(func() { _ = o.Close() })
	return o.(*dir)
}

// Many waits are interrupted at any moment, while others get their turn and while
// descriptors come and go. None hangs, none is lost, and no descriptor of
// anybody else is touched.
func TestLineInterruptedAtAnyMoment(t *testing.T) {
	d := openForTest(t, t.TempDir())
	waits := 20_000
	if testing.Short() {
		waits = 2_000
	}
	f, err := d.Create("L0", []byte("x"))
	require.NoError(t, err)
	others, stop := context.WithCancel(t.Context())
	var busy sync.WaitGroup
	busy.Go(func() { // somebody else's descriptors
		for n := byte(0); others.Err() == nil; n++ {
			r, w, err := os.Pipe()
			if err != nil {
				continue
			}
			_, _ = w.Write([]byte{n})
			var got [1]byte
			runtime.Gosched()
			if _, err := r.Read(got[:]); err != nil || got[0] != n {
				t.Errorf("a pipe of another goroutine: %v, %v", got, err)
			}
			_, _ = r.Close(), w.Close()
		}
	})
	var turns, interrupted, left atomic.Int64
	left.Store(int64(waits))
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			for left.Add(-1) >= 0 {
				p, err := d.Line("L0")
				if err != nil {
					t.Error(err)
					return
				}
				late := time.AfterFunc(time.Duration(rand.IntN(300))*time.Microsecond, p.Interrupt)
				if p.Wait() == nil {
					turns.Add(1)
				} else {
					interrupted.Add(1)
				}
				if err := p.Close(); err != nil {
					t.Error(err)
				}
				if rand.IntN(2) == 0 {
					late.Stop()
				}
			}
		})
	}
	for left.Load() > int64(waits/2) {
		runtime.Gosched()
	}
	require.NoError(t, f.Close()) // from now on they get their turns
	workers.Wait()
	stop()
	busy.Wait()
	require.Equal(t, int64(waits), turns.Load()+interrupted.Load())
	require.NotZero(t, turns.Load())
	require.NotZero(t, interrupted.Load())
}

// Nobody waits in a call that nothing would interrupt, nor by a file that he may
// only read.
func TestLineWhereThereIsNone(t *testing.T) {
	path := t.TempDir()
	require.NoError(t, os.Chmod(path, 0o755))
	d := openForTest(t, path)
	f, err := d.Create("L0", []byte("x"))
	require.NoError(t, err)
	defer f.Close()
	inThread := func(name string, do func()) {
		t.Run(name, func(t *testing.T) {
			done := make(chan struct{})
			go func() {
				defer close(done)
				runtime.LockOSThread() // for good: the thread ends with the goroutine
				do()
			}()
			<-done
		})
	}
	inThread("the program ignores the signal", func() {
		signal.Ignore(unix.SIGURG)
		defer func() { // Reset does not undo it
			c := make(chan os.Signal, 1)
			signal.Notify(c, unix.SIGURG)
			signal.Stop(c)
		}()
		_, err := d.Line("L0")
		require.ErrorContains(t, err, "unsupported")
	})
	inThread("the thread blocks the signal", func() {
		var set unix.Sigset_t
		set.Val[0] = 1 << (unix.SIGURG - 1)
		require.NoError(t, unix.PthreadSigmask(unix.SIG_BLOCK, &set, nil))
		p, err := d.Line("L0")
		require.NoError(t, err)
		defer func() { _ = p.Close() }()
		require.ErrorContains(t, p.Wait(), "unsupported")
	})
	if os.Getuid() == 0 {
		inThread("another user", func() {
			require.NoError(t, unix.Setfsuid(65534))
			_, err := d.Line("L0")
			require.ErrorIs(t, err, unix.EACCES)
		})
	}
	require.NoError(t, unix.Mkfifo(filepath.Join(path, "fifo"), 0o666))
	_, err = d.Line("fifo")
	require.ErrorIs(t, err, fsys.ErrNotRegular)
}

// The thread that waits can be one of many that are preempted all the time, and
// the program may have just one for Go code.
func TestLineOnOneProcessor(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	TestLineInterruptedAtAnyMoment(t)
}
