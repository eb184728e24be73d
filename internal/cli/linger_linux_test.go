package cli

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/dirlock/dirlock/lock"
)

// refused looks whether others are refused the lock of a directory.
func refused(t *testing.T, dir string) bool {
	t.Helper()
	cmd := exec.Command("dirlock", "run", "-n", "-q", "-E", "75", dir, "job", "exit", "0")
	_ = cmd.Run()
	require.Contains(t, []int{0, 75}, cmd.ProcessState.ExitCode())
	return cmd.ProcessState.ExitCode() == 75
}

// waitForEnd waits until a process has ended, whoever reaps it.
func waitForEnd(t *testing.T, pid int) {
	t.Helper()
	fd, err := unix.PidfdOpen(pid, 0)
	if err == unix.ESRCH {
		return
	}
	require.NoError(t, err)
	defer unix.Close(fd)
	for n := 0; n == 0 || err == unix.EINTR; {
		n, err = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1)
	}
	require.NoError(t, err)
}

// ownerPID returns the process that holds the lock by its record.
func ownerPID(t *testing.T, dir string) int {
	t.Helper()
	s, err := lock.New(dir).Status()
	require.NoError(t, err)
	owner, ok := s.Owner()
	require.True(t, ok)
	return owner.Owner.PID
}

// script is a command whose work is a child, as with most scripts.
const script = `job hold <&3 & exec 3<&-; wait`

// startScript starts it, with the flags given.
func startScript(t *testing.T, dir, script string, flags ...string) (p *process, end func()) {
	t.Helper()
	in, hold, err := os.Pipe()
	require.NoError(t, err)
	t.Cleanup(func() { _ = hold.Close() })
	args := append(append([]string{"run"}, flags...), dir, "-c", script)
	p = &process{Cmd: exec.Command("dirlock", args...), t: t}
	p.ExtraFiles = []*os.File{in} // number 3
	p.Stderr = os.Stderr          // a file, which nobody has to copy until the last one closes it
	p.begin()
	require.NoError(t, in.Close())
	p.says("ready")
	return p, func() { require.NoError(t, hold.Close()) }
}

// Killed, dirlock leaves the lock to its command and to what that has started.
func TestKillLeavesLockToCommand(t *testing.T) {
	dir := t.TempDir()
	p, end := startScript(t, dir, script)
	shell, _ := childrenOfDirlock(t, p.Process.Pid)
	work := childrenOf(t, shell)[0]
	require.NoError(t, p.Process.Kill())
	waitForEnd(t, p.Process.Pid)
	require.True(t, refused(t, dir))
	out, err := exec.Command("dirlock", "status", dir).Output()
	require.Error(t, err)
	require.Contains(t, string(out), "L0  alive    its process has ended, but its command still runs")
	require.Contains(t, string(out), fmt.Sprintf("; the command is process %d, %d\n", shell, work))
	require.NoError(t, syscall.Kill(shell, unix.SIGTERM))
	waitForEnd(t, shell)
	require.True(t, refused(t, dir), "the child of the script works on")
	end()
	waitForEnd(t, work)
	require.False(t, refused(t, dir))
	requireEmpty(t, dir)
}

// TERM ends the script, and not its child: the lock is held until that has ended.
func TestLingerAfterSignal(t *testing.T) {
	for name, child := range map[string]string{
		"with the descriptor":    script,
		"without the descriptor": "exec bash -c 'exec {DIRLOCK_FD}>&-; job hold <&3 & exec 3<&-; wait'",
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			p, end := startScript(t, dir, child, "-q")
			shell, _ := childrenOfDirlock(t, p.Process.Pid)
			require.NoError(t, p.Process.Signal(unix.SIGTERM))
			waitForEnd(t, shell)
			require.True(t, refused(t, dir))
			end()
			p.exits(143)
			require.False(t, refused(t, dir))
			requireEmpty(t, dir)
		})
	}
}

// A second signal goes to what is left.
func TestSignalWhileLingering(t *testing.T) {
	dir := t.TempDir()
	p, _ := startScript(t, dir, script, "-q")
	shell, _ := childrenOfDirlock(t, p.Process.Pid)
	require.NoError(t, p.Process.Signal(unix.SIGTERM))
	waitForEnd(t, shell)
	require.True(t, refused(t, dir))
	require.NoError(t, p.Process.Signal(unix.SIGTERM))
	p.exits(143)
	requireEmpty(t, dir)
}

// What a command leaves behind in a normal way keeps nothing, unless that is
// wanted.
func TestLinger(t *testing.T) {
	const daemon = `job hold <&3 & exit 5`
	dir := t.TempDir()
	p, _ := startScript(t, dir, daemon)
	p.exits(5)
	require.False(t, refused(t, dir))
	requireEmpty(t, dir)

	p, end := startScript(t, dir, daemon, "-q", "--linger", "always")
	require.True(t, refused(t, dir))
	end()
	p.exits(5)
	require.False(t, refused(t, dir))

	p, _ = startScript(t, dir, script, "-q", "--linger", "never")
	require.NoError(t, p.Process.Signal(unix.SIGTERM))
	p.exits(143)
	require.False(t, refused(t, dir))
	requireEmpty(t, dir)
}

// With -F the command is the process that holds the lock.
func TestNoFork(t *testing.T) {
	dir := t.TempDir()
	p := start(t, "dirlock", "run", "-F", dir, "job", "hold")
	p.says("ready")
	require.Equal(t, p.Process.Pid, ownerPID(t, dir))
	command, err := os.Readlink("/proc/" + itoa(p.Process.Pid) + "/exe")
	require.NoError(t, err)
	require.NotEmpty(t, command)
	arguments, err := os.ReadFile("/proc/" + itoa(p.Process.Pid) + "/cmdline")
	require.NoError(t, err)
	require.Equal(t, "job\x00hold\x00", string(arguments))
	require.True(t, refused(t, dir))
	require.NoError(t, p.in.Close())
	p.exits(0)
	require.False(t, refused(t, dir))
	requireEmpty(t, dir)

	out, err := exec.Command("dirlock", "run", "-F", dir, "nosuch-command").CombinedOutput()
	require.Error(t, err)
	require.Equal(t, "dirlock: run nosuch-command: command not found\nhint: check its name and PATH\n", string(out))
	requireEmpty(t, dir)
}

// A lost lock ends the command, unless that is not wanted.
func TestOnLost(t *testing.T) {
	for _, c := range []struct {
		flags []string
		want  int
	}{
		{nil, exitLost},
		{[]string{"--on-lost", "term"}, exitLost},
		{[]string{"--on-lost", "kill"}, exitLost},
	} {
		dir := t.TempDir()
		p := start(t, "dirlock", append(append([]string{"run"}, c.flags...), dir, "job", "hold")...)
		p.says("ready")
		require.NoError(t, os.Remove(filepath.Join(dir, "L0")))
		p.exits(c.want) // its standard input is still open
	}
	dir := t.TempDir()
	p, _ := startScript(t, dir, "trap 'exit 0' TERM; "+script, "-q")
	require.NoError(t, os.Remove(filepath.Join(dir, "L0")))
	p.exits(exitLost) // what the script has left behind was told to end, too

	dir = t.TempDir()
	p = start(t, "dirlock", "run", "--on-lost", "ignore", "-q", dir, "job", "count", "SIGTERM", "SIGUSR1")
	p.says("ready")
	require.NoError(t, os.Remove(filepath.Join(dir, "L0")))
	require.NoError(t, p.Process.Signal(unix.SIGUSR1))
	p.says("got SIGUSR1")
	require.NoError(t, p.in.Close())
	p.exits(1)
}
