package lock_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/dirlock/dirlock/lock"
)

func init() {
	// stopat N: stop ahead of the N-th operation from now, until SIGCONT.
	peerCommands["stopat"] = func(s *peerState, n string) string {
		s.at = func() {
			// A signal to the own thread is delivered before the call returns.
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			if err := unix.Tgkill(unix.Getpid(), unix.Gettid(), unix.SIGSTOP); err != nil {
				fmt.Println(err)
			}
		}
		return s.setSteps(n)
	}
	peerCommands["setuid"] = func(_ *peerState, arg string) string {
		id, err := strconv.Atoi(arg)
		if err == nil {
			err = syscall.Setgroups(nil)
		}
		if err == nil {
			err = syscall.Setgid(id)
		}
		if err == nil {
			err = syscall.Setuid(id)
		}
		return answerOf(err)
	}
	peerCommands["rename"] = func(_ *peerState, name string) string {
		// Of every thread: which one procfs shows is none of our business.
		tasks, err := os.ReadDir("/proc/self/task")
		for _, task := range tasks {
			err = os.WriteFile("/proc/self/task/"+task.Name()+"/comm", []byte(name), 0)
		}
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err == nil {
			var p *byte
			if p, err = unix.BytePtrFromString(name); err == nil {
				err = unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(p)), 0, 0, 0)
			}
		}
		return answerOf(err)
	}
	// mount DIR OPTIONS: a tmpfs.
	peerCommands["mount"] = func(_ *peerState, arg string) string {
		dir, options, _ := strings.Cut(arg, " ")
		return answerOf(unix.Mount("tmpfs", dir, "tmpfs", 0, options))
	}
	peerCommands["remount"] = func(_ *peerState, arg string) string {
		mode, dir, _ := strings.Cut(arg, " ")
		flags := uintptr(unix.MS_REMOUNT)
		if mode == "ro" {
			flags |= unix.MS_RDONLY
		}
		return answerOf(unix.Mount("", dir, "", flags, ""))
	}
	// fill NAME: with files of that name and a number, until nothing more fits.
	peerCommands["fill"] = func(_ *peerState, name string) string {
		for n := 0; ; n++ {
			err := os.WriteFile(name+strconv.Itoa(n), make([]byte, 4096), 0o666)
			if errors.Is(err, unix.ENOSPC) {
				return "ok"
			}
			if err != nil {
				return answerOf(err)
			}
		}
	}
	peerCommands["unfill"] = func(_ *peerState, name string) string {
		files, err := filepath.Glob(name + "*")
		for _, f := range files {
			err = errors.Join(err, os.Remove(f))
		}
		return answerOf(err)
	}
	peerCommands["names"] = func(_ *peerState, dir string) string {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return answerOf(err)
		}
		var names []string
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return fmt.Sprint(names)
	}
	sentinels["EROFS"] = unix.EROFS
	sentinels["ENOSPC"] = unix.ENOSPC
	sentinels["ENOTDIR"] = unix.ENOTDIR
}

// privateMounts gives a process mounts of its own.
func privateMounts(c *exec.Cmd) {
	c.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS}
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can become another user, mount, and make namespaces")
	}
}

// publicDir is a directory that every user can get to, and write to.
func publicDir(t *testing.T, mode os.FileMode) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "dirlock-test-")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, mode))
	return dir
}

// waitStopped waits until a peer stands still.
func (a *peer) waitStopped() {
	a.t.Helper()
	var info unix.Siginfo
	for {
		err := unix.Waitid(unix.P_PID, a.cmd.Process.Pid, &info, unix.WSTOPPED|unix.WEXITED|unix.WNOWAIT, nil)
		if err == unix.EINTR {
			continue
		}
		require.NoError(a.t, err)
		return
	}
}

func (a *peer) resume() {
	a.t.Helper()
	require.NoError(a.t, a.cmd.Process.Signal(unix.SIGCONT))
}

// A process is stopped ahead of every operation of its recovery. Others get an
// answer all the same, after a bounded number of attempts; after SIGCONT there
// is one owner, and nothing is left in the end.
func TestProcessStopped(t *testing.T) {
	for _, levels := range [][]int{{0}, {0, 1, 2}} {
		t.Run(fmt.Sprint(levels), func(t *testing.T) {
			t.Parallel()
			var longest time.Duration
			refused, taken := 0, 0
			steps := countSteps(t, levels)
			for n := 1; n <= steps; n++ {
				dir := t.TempDir()
				putStale(t, dir, levels...)
				a := startPeer(t, dir)
				a.must(fmt.Sprint("stopat ", n), "ok")
				a.send("try")
				a.waitStopped()

				l := lock.New(dir)
				pauses := countPauses(l)
				start := time.Now()
				ok, err := l.TryLock()
				longest = max(longest, time.Since(start))
				require.NoError(t, err)
				require.Less(t, *pauses, lock.MaxAttempts)

				a.resume()
				answer := a.answer()
				if ok {
					// It had not made its level yet.
					taken++
					require.Equal(t, "false", answer, "stopped ahead of operation %d", n)
					require.NoError(t, l.Check())
					require.Equal(t, []string{"L0"}, names(t, dir))
					require.NoError(t, l.Unlock())
					require.Empty(t, names(t, dir))
					a.must("try", "true")
				} else {
					refused++
					require.Equal(t, "true", answer, "stopped ahead of operation %d", n)
					mustTry(t, l, false)
				}
				require.Equal(t, []string{"L0"}, names(t, dir))
				a.must("check", "ok")
				a.must("unlock", "ok")
				require.Empty(t, names(t, dir))
				a.kill()
			}
			require.Positive(t, refused)
			require.Positive(t, taken)
			t.Logf("%d times refused, %d times taken; longest answer %v", refused, taken, longest)
		})
	}
}

// countSteps returns how many operations a recovery takes.
func countSteps(t *testing.T, levels []int) int {
	dir := t.TempDir()
	putStale(t, dir, levels...)
	a := startPeer(t, dir)
	a.must("try", "true")
	n, err := strconv.Atoi(a.do("ops"))
	require.NoError(t, err)
	require.Greater(t, n, 5)
	a.kill()
	return n
}

// countPauses counts what a handle waits between its attempts, and lets it
// wait.
func countPauses(l *lock.DirLock) *int {
	n := 0
	lock.SetPause(l, func(ctx context.Context, d time.Duration, _, _ <-chan struct{}) error {
		n++
		select {
		case <-ctx.Done():
		case <-time.After(d):
		}
		return ctx.Err()
	})
	return &n
}

// An unprivileged process neither takes a live root process's lock nor breaks
// it by trying; from a dead one it does take it.
func TestProcessUnprivileged(t *testing.T) {
	needRoot(t)
	dir := publicDir(t, 0o777)
	holder := startPeer(t, dir)
	holder.must("try", "true")
	other := startPeer(t, dir)
	other.must("setuid 65534", "ok")
	other.must("try", "false")
	other.must("new "+dir, "ok")
	other.must("try", "false")
	require.Contains(t, other.do("state"), "alive")
	require.Contains(t, other.do("unlock"), "ErrNotHeld")
	holder.must("check", "ok")
	holder.kill()
	other.must("try", "true")
	mustTry(t, lock.New(dir), false)
	other.kill()
	mustTake(t, dir)
}

// In a directory where it may not remove what is another user's, an
// unprivileged process gets an error, and leaves nothing.
func TestProcessUnprivilegedSticky(t *testing.T) {
	needRoot(t)
	dir := publicDir(t, 0o777|os.ModeSticky)
	putStale(t, dir, 0)
	other := startPeer(t, dir)
	other.must("setuid 65534", "ok")
	require.Regexp(t, `^error \[ErrPermission\]: lock .*: replace .*/L0: `, other.do("try"))
	require.Equal(t, []string{"L0"}, names(t, dir))
	mustTake(t, dir)
}

// The name of the process is for people.
func TestProcessRenamed(t *testing.T) {
	dir := t.TempDir()
	holder := startPeer(t, dir)
	holder.must("try", "true")
	holder.must("rename ) R 1 (", "ok")
	other := startPeer(t, dir)
	other.must("rename other", "ok")
	other.must("try", "false")
	require.Contains(t, other.do("state"), "alive")
	holder.must("check", "ok")
	holder.must("unlock", "ok")
	other.must("try", "true")
}

// A process is killed in the middle of operations, too: at every system call on
// files, as strace counts them. strace counts each thread's, so that some points
// are met twice and some not at all. Not even a temporary file is left where the
// file system has unnamed ones.
func TestProcessKilledAtSystemCalls(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("needs strace: ", err)
	}
	if testing.Short() {
		t.Skip("slow")
	}
	const calls = "linkat,flock,pwrite64,pread64,fchmod,/^rename.*,/^unlink.*,/^.*stat.*,openat"
	for _, levels := range [][]int{nil, {0, 1, 3}} {
		t.Run(fmt.Sprint(levels), func(t *testing.T) {
			t.Parallel()
			killed := 0
			for n := 1; ; n++ {
				dir := t.TempDir()
				if levels != nil {
					putStale(t, dir, levels...)
				}
				a := startPeer(t, dir, func(c *exec.Cmd) {
					c.Args = append([]string{
						strace, "-f", "-qq", "-o", "/dev/null", "-e", "trace=" + calls,
						"-e", "signal=none", "-e", fmt.Sprintf("inject=%s:signal=KILL:when=%d", calls, n), c.Path,
					}, c.Args[1:]...)
					c.Path = strace
				})
				_, _ = fmt.Fprintln(a.in, "try")
				_, _ = fmt.Fprintln(a.in, "unlock")
				tried, unlocked := a.answer(), a.answer()
				require.NoError(t, a.in.Close())
				a.reap()
				if tried == "true" && unlocked == "ok" {
					require.Empty(t, names(t, dir))
					require.Greater(t, killed, 10)
					break
				}
				killed++
				require.Less(t, n, 500)
				for _, name := range names(t, dir) {
					require.Regexp(t, "^L[0-9]$", name, "killed at system call %d", n)
				}
				mustTake(t, dir)
			}
			t.Logf("killed at %d system calls", killed)
		})
	}
}
