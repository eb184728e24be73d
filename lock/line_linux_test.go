package lock_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/dirlock/dirlock/fsys"
	"github.com/dirlock/dirlock/lock"
)

func init() {
	// stop: "waiting" when it is about to stand in line; it stops itself when it is
	// its turn; then "held".
	peerCommands["stop"] = func(s *peerState, _ string) string {
		l := s.make(s.dir)
		var once sync.Once
		lock.InLine(l, func(p fsys.Spot, wait func(fsys.Spot) error) error {
			fmt.Println("waiting")
			err := wait(p)
			once.Do(func() { _ = unix.Kill(os.Getpid(), unix.SIGSTOP) })
			return err
		})
		if err := l.Lock(); err != nil {
			return answerOf(err)
		}
		fmt.Println("held")
		return answerOf(l.Unlock())
	}
}

// In a namespace of PIDs nobody can see the owner's process, and in another
// mount namespace with nothing but the directory there are no events either. The
// line is the file's.
func TestLineAcrossNamespaces(t *testing.T) {
	for name, free := range map[string]func(*testing.T, *peer){
		"release": func(_ *testing.T, a *peer) { a.must("unlock", "ok") },
		"death":   func(_ *testing.T, a *peer) { a.kill() },
		"zombie":  func(t *testing.T, a *peer) { require.NoError(t, a.cmd.Process.Kill()) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := localDir(t)
			holder := startHolder(t, dir)
			waiter := startWaiter(t, dir, "only the line", func(cmd *exec.Cmd) {
				cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS}
			})
			free(t, holder)
			require.Equal(t, "held", waiter.answer()) // and not that it polls
			require.Equal(t, "ok", waiter.answer())
			require.Empty(t, names(t, dir))
		})
	}
}

// The file of a living owner is removed by hand: its line does not move, but
// those in it look.
func TestLineOfARemovedFile(t *testing.T) {
	dir := localDir(t)
	holder := startHolder(t, dir)
	waiter := startWaiter(t, dir, "")
	require.NoError(t, os.Remove(filepath.Join(dir, "L0")))
	require.Equal(t, "held", waiter.answer())
	require.Equal(t, "ok", waiter.answer())
	require.Contains(t, holder.do("check"), "ErrLost")
}

// A process that is stopped when it is its turn keeps those behind it asleep, but
// not for good, and nobody who comes now. It does not look like an owner either.
func TestLineBehindAStoppedProcess(t *testing.T) {
	for name, free := range map[string]func(*peer){
		"release": func(a *peer) { a.must("unlock", "ok") },
		"death":   func(a *peer) { a.kill() },
	} {
		t.Run(name, func(t *testing.T) {
			dir := localDir(t)
			holder := startHolder(t, dir)
			stopped := startPeer(t, dir)
			stopped.send("stop")
			require.Equal(t, "waiting", stopped.answer())
			inLine(t, dir, 1)
			behind := startWaiter(t, dir, "")
			inLine(t, dir, 2)
			free(holder)
			untilState(t, stopped, 'T')

			now := lock.New(dir)
			mustTry(t, now, true)
			require.NoError(t, now.Unlock())
			require.Equal(t, "held", behind.answer())
			require.Equal(t, "ok", behind.answer())
			require.NoError(t, stopped.cmd.Process.Signal(syscall.SIGCONT))
			for stopped.answer() != "held" { // it may have to wait again
			}
			require.Equal(t, "ok", stopped.answer())
			require.Empty(t, names(t, dir))
		})
	}
}

// An Unlock wakes a few of those who wait, and not all of them. They are processes
// as far as the lock can see: each has another name for the directory.
func TestLineWakesFew(t *testing.T) {
	const waiters, rounds = 60, 3
	top := t.TempDir()
	dir := filepath.Join(top, "dir")
	require.NoError(t, os.Mkdir(dir, 0o755))
	var turns, acquired, waited, asleep, active atomic.Int64
	active.Store(waiters)
	var inside atomic.Bool
	var done sync.WaitGroup
	for n := range waiters {
		name := filepath.Join(top, "link"+strconv.Itoa(n))
		require.NoError(t, os.Symlink(dir, name))
		l := lock.New(name, lock.WithLogger(slog.New(slog.DiscardHandler)))
		first := true
		lock.InLine(l, func(p fsys.Spot, wait func(fsys.Spot) error) error {
			if first {
				waited.Add(1)
			}
			first = false
			asleep.Add(1)
			err := wait(p)
			asleep.Add(-1)
			turns.Add(1)
			return err
		})
		done.Go(func() {
			defer active.Add(-1)
			for range rounds {
				if err := l.Lock(); err != nil {
					t.Error(err)
					return
				}
				first = true
				if inside.Swap(true) {
					t.Error("two owners")
				}
				acquired.Add(1)
				for asleep.Load() < active.Load()-1 { // all others wait
					runtime.Gosched()
				}
				inside.Store(false)
				if err := l.Unlock(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	done.Wait()
	require.Equal(t, int64(waiters*rounds), acquired.Load())
	t.Logf("%d turns in line for %d acquisitions that had to wait", turns.Load(), waited.Load())
	require.Less(t, turns.Load(), 5*waited.Load())
	require.Empty(t, names(t, dir))
}

// inLine returns when so many wait in the kernel for the line of L0.
func inLine(t *testing.T, dir string, want int) {
	t.Helper()
	var st unix.Stat_t
	require.NoError(t, unix.Stat(filepath.Join(dir, "L0"), &st))
	file := fmt.Sprintf(":%d ", st.Ino)
	require.Eventually(t, func() bool {
		locks, err := os.ReadFile("/proc/locks")
		n := 0
		for line := range strings.Lines(string(locks)) {
			if strings.Contains(line, "-> OFDLCK") && strings.Contains(line, file) {
				n++
			}
		}
		return err == nil && n >= want
	}, time.Minute, time.Millisecond, "%d in line", want)
}

// untilState returns when the process is in that state (proc_pid_stat(5)).
func untilState(t *testing.T, a *peer, want byte) {
	t.Helper()
	require.Eventually(t, func() bool {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", a.cmd.Process.Pid))
		after := strings.LastIndexByte(string(stat), ')') + 2
		return err == nil && after < len(stat) && stat[after] == want
	}, time.Minute, time.Millisecond, "state %c", want)
}

// Another program has a lock on the file of a dead owner, and not the owner's: the
// line lets everybody pass, but nobody spins.
func TestLineOfAFileThatAnotherProgramLocked(t *testing.T) {
	dir := localDir(t)
	holder := startHolder(t, dir)
	f, err := os.OpenFile(filepath.Join(dir, "L0"), os.O_RDWR, 0)
	require.NoError(t, err)
	holder.kill()
	byte0 := unix.Flock_t{Type: unix.F_WRLCK, Len: 1}
	require.NoError(t, unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &byte0))
	l := lock.New(dir)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	turns := 0
	lock.InLine(l, func(p fsys.Spot, wait func(fsys.Spot) error) error {
		turns++
		return wait(p)
	})
	lock.BeforePause(l, func(d time.Duration) {
		if d > 0 {
			cancel()
		}
	})
	require.ErrorIs(t, l.LockContext(ctx), context.Canceled)
	require.Equal(t, 1, turns)
	require.NoError(t, f.Close())
	mustTry(t, l, true)
	require.NoError(t, l.Unlock())
}

// A handle that waits in line can be used by others at the same time. (It takes
// the race detector to see that it cannot.)
func TestLineOfAHandleThatOthersUse(t *testing.T) {
	dir := t.TempDir()
	l, other := lock.New(dir), lock.New(dir)
	require.NoError(t, other.Lock())
	locked := make(chan error)
	go func() { locked <- l.Lock() }()
	inLine(t, dir, 1)
	require.NoError(t, os.Remove(filepath.Join(dir, "L0")))
	mustTryRead(t, l, true)
	require.NoError(t, l.RUnlock())
	require.ErrorIs(t, other.Unlock(), lock.ErrLost)
	require.NoError(t, <-locked)
	require.NoError(t, l.Unlock())
}

// Who sees the directory by a mount that is read-only cannot stand in line. He
// waits by events, as others do who may not write the file, and does not spin.
func TestLineOnAReadOnlyMount(t *testing.T) {
	top := localDir(t)
	dir, readOnly := filepath.Join(top, "dir"), filepath.Join(top, "ro")
	require.NoError(t, os.Mkdir(dir, 0o777))
	require.NoError(t, os.Mkdir(readOnly, 0o777))
	if err := unix.Mount(dir, readOnly, "", unix.MS_BIND, ""); err != nil {
		t.Skip("mount:", err)
	}
	defer func() { require.NoError(t, unix.Unmount(readOnly, unix.MNT_DETACH)) }()
	require.NoError(t, unix.Mount("", readOnly, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""))

	holder := startHolder(t, dir)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	log := &endingLog{end: sync.OnceFunc(holder.kill)} // then it fails
	l := lock.New(readOnly, lock.WithLogger(slog.New(log)))
	lock.BeforePause(l, func(time.Duration) { cancel() })
	require.ErrorIs(t, l.LockContext(ctx), context.Canceled)
	require.Less(t, log.count("DEBUG waiting"), 3)
}

// endingLog ends a wait that spins.
type endingLog struct {
	waitLog
	end func()
}

func (e *endingLog) Handle(ctx context.Context, r slog.Record) error {
	err := e.waitLog.Handle(ctx, r)
	if e.count("DEBUG waiting") > 20 {
		e.end()
	}
	return err
}

// After Unlock it is the turn of those in line, whoever still has a descriptor of
// the file: a command that goes on in the background, for example.
func TestUnlockMovesTheLineInSpiteOfFile(t *testing.T) {
	dir := t.TempDir()
	l := lock.New(dir)
	require.NoError(t, l.Lock())
	f, err := l.File()
	require.NoError(t, err)
	defer f.Close()
	waiter := startWaiter(t, dir, "only the line")
	inLine(t, dir, 1)
	require.NoError(t, l.Unlock())
	require.Equal(t, "held", waiter.answer())
	require.Equal(t, "ok", waiter.answer())
	require.Empty(t, names(t, dir))
}
