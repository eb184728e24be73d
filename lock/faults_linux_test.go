package lock_test

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/dirlock/dirlock/lock"
)

var everyFault = flag.Bool("faults.every", false, "let every system call fail with every likely error: it takes minutes")

// faults are the system calls of TryLock, Check and Unlock, and how they fail.
var faults = map[string][]string{
	"openat":     {"EINTR", "EMFILE", "ENFILE", "EIO", "ENOMEM", "EACCES", "ENOSPC", "EDQUOT", "EROFS", "ENOENT", "ESTALE", "EAGAIN", "EOPNOTSUPP"},
	"linkat":     {"EINTR", "EIO", "ENOSPC", "EDQUOT", "EPERM", "EROFS", "ENOENT", "EMLINK", "ESTALE"},
	"renameat":   {"EINTR", "EIO", "ENOSPC", "EPERM", "EACCES", "EROFS", "ENOENT", "ESTALE"},
	"unlinkat":   {"EINTR", "EIO", "EPERM", "EACCES", "EBUSY", "EROFS", "ESTALE"},
	"flock":      {"EINTR", "ENOLCK", "EIO", "ENOSYS"},
	"fcntl":      {"EINTR", "ENOLCK", "EIO", "EINVAL"},
	"pwrite64":   {"EINTR", "EIO", "ENOSPC", "EDQUOT"},
	"pread64":    {"EINTR", "EIO", "ESTALE"},
	"read":       {"EINTR", "EIO", "ESTALE"},
	"fstat":      {"EIO", "ENOMEM", "ESTALE"},
	"newfstatat": {"EIO", "ENOMEM", "EACCES", "ESTALE"},
	"statx":      {"EIO", "ENOSYS", "ENOMEM"},
	"fstatfs":    {"EINTR", "EIO", "ENOSYS", "EPERM"},
	"pidfd_open": {"EMFILE", "ENFILE", "ENOMEM", "EPERM", "ENOSYS"},
	"close":      {"EINTR", "EIO"},
}

// One system call fails, any of those that TryLock, Check and Unlock make. There
// is no false "true", no panic, and no file that is left behind.
func TestProcessFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("slow")
	}
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("needs strace: ", err)
	}
	everyOne := func(t *testing.T, fail func(call, with string, n int) (met bool)) {
		runs := 0
		for call, errs := range faults {
			if !*everyFault {
				errs = errs[1:2]
			}
			for _, e := range errs {
				for n := 1; ; n++ {
					runs++
					if !fail(call, e, n) {
						break
					}
					require.Less(t, n, 100)
				}
			}
		}
		t.Logf("%d runs", runs)
	}
	for _, levels := range [][]int{nil, {0}, {0, 1}} {
		t.Run(fmt.Sprint("stale levels ", levels), func(t *testing.T) {
			a := startPeer(t, t.TempDir())
			everyOne(t, func(call, with string, n int) bool { return a.fail(t, strace, call, with, n, levels) })
		})
	}
	t.Run("held by another", func(t *testing.T) {
		a := startPeer(t, t.TempDir())
		everyOne(t, func(call, with string, n int) bool { return a.failBesideOwner(t, strace, call, with, n) })
	})
}

// failBesideOwner is fail where this process holds the lock.
func (a *peer) failBesideOwner(t *testing.T, strace, call, with string, n int) (met bool) {
	t.Helper()
	dir := t.TempDir()
	owner := lock.New(dir)
	mustTry(t, owner, true)
	what := fmt.Sprintf("%s number %d fails with %s, held by another", call, n, with)

	a.must("new "+dir, "ok")
	trace, detach := a.attach(t, strace, dir, call, with, n)
	tried := a.do("try")
	detach()
	text, err := os.ReadFile(trace)
	require.NoError(t, err)
	met = strings.Contains(string(text), "(INJECTED)")

	if tried != "false" {
		require.True(t, met && strings.HasPrefix(tried, "error"), "%s: %s", what, tried)
	}
	require.Equal(t, []string{"L0"}, names(t, dir), what)
	require.NoError(t, owner.Check(), what)
	require.NoError(t, owner.Unlock(), what)
	return met
}

// fail lets the n-th call of that name fail, and tells whether there was one.
func (a *peer) fail(t *testing.T, strace, call, with string, n int, levels []int) (met bool) {
	t.Helper()
	dir := t.TempDir()
	if levels != nil {
		putStale(t, dir, levels...)
	}
	before := names(t, dir)
	what := fmt.Sprintf("%s number %d fails with %s, stale levels %v", call, n, with, levels)

	a.must("new "+dir, "ok")
	trace, detach := a.attach(t, strace, dir, call, with, n)
	tried := a.do("try")
	checked := a.do("check")
	if tried == "true" {
		ok, err := lock.New(dir).TryLock()
		require.NoError(t, err, what)
		require.False(t, ok, "%s: two owners", what)
	}
	unlocked := a.do("unlock")
	detach()
	text, err := os.ReadFile(trace)
	require.NoError(t, err)
	met = strings.Contains(string(text), "(INJECTED)")

	switch {
	case tried == "true":
		if !met {
			require.Equal(t, "ok", checked, what)
			require.Equal(t, "ok", unlocked, what)
		}
		if with == "ESTALE" && strings.Contains(unlocked, "ErrLost") {
			mustTake(t, dir) // The file system said that the file is gone; it is let go.
			return met
		}
		if with != "ESTALE" {
			require.NotContains(t, checked+unlocked, "ErrLost", what)
		}
		if unlocked != "ok" {
			mustTry(t, lock.New(dir), false)
			a.must("unlock", "ok")
		}
		// What could not be swept stays for the next recovery.
		require.Subset(t, before, names(t, dir), what)
		require.NotContains(t, names(t, dir), "L0", what)
	case strings.HasPrefix(tried, "error"):
		require.True(t, met, "%s: %s", what, tried)
		require.Subset(t, before, names(t, dir), "%s: %s", what, tried)
		mustTake(t, dir)
	case tried == "false" && met && (call == "flock" || call == "fcntl") && levels != nil:
		// A witness that cannot be asked for is not let go.
		require.Equal(t, before, names(t, dir), what)
		mustTake(t, dir)
	default:
		t.Fatalf("%s: TryLock says %q, and nobody holds the lock", what, tried)
	}
	return met
}

// attach lets a peer's n-th system call of that name from now on fail.
func (a *peer) attach(t *testing.T, strace, dir, call, with string, n int) (trace string, detach func()) {
	t.Helper()
	trace = filepath.Join(t.TempDir(), "trace")
	args := []string{}
	if call == "read" { // not of its standard input
		args = []string{"-P", filepath.Join(dir, "L0"), "-P", filepath.Join(dir, "L1")}
	}
	cmd := exec.Command(strace, append(args, "-f", "-o", trace, "-p", fmt.Sprint(a.cmd.Process.Pid),
		"-e", "trace="+call, "-e", "signal=none", "-e", fmt.Sprintf("inject=%s:error=%s:when=%d", call, with, n))...)
	said, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewScanner(said)
	require.True(t, lines.Scan())
	if !strings.Contains(lines.Text(), "attached") {
		t.Skip(lines.Text())
	}
	return trace, func() {
		require.NoError(t, cmd.Process.Signal(unix.SIGTERM))
		for lines.Scan() {
		}
		_ = cmd.Wait()
	}
}
