package cli

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/dirlock/dirlock/lock"
)

// counter is "dirlock run" of a command that counts signals.
type counter struct {
	*process
	dir string
}

// startCounter starts it, after the words of before.
func startCounter(t *testing.T, attr *syscall.SysProcAttr, before ...string) counter {
	t.Helper()
	dir := t.TempDir()
	args := append(before, "dirlock", "run", dir, "--", "job", "count", "SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1", "SIGWINCH")
	c := counter{startWith(t, attr, args[0], args[1:]...), dir}
	c.says("ready")
	_, decoy := childrenOfDirlock(t, c.dirlock())
	require.NotZero(t, decoy)
	return c
}

// dirlock returns the process ID of "dirlock run".
func (c counter) dirlock() int {
	s, err := lock.New(c.dir).Status()
	require.NoError(c.t, err)
	owner, ok := s.Owner()
	require.True(c.t, ok)
	return owner.Owner.PID
}

// got returns what the command counts: so many signals at least, and until it has
// got one that is sent to dirlock alone now, which is passed on after all that
// came before.
func (c counter) got(least int) (got []string) {
	c.t.Helper()
	require.NoError(c.t, syscall.Kill(c.dirlock(), syscall.SIGWINCH))
	for end := false; !end || len(got) < least; {
		line, err := c.out.ReadString('\n')
		require.NoError(c.t, err)
		if line == "got SIGWINCH\n" {
			end = true
		} else {
			got = append(got, strings.TrimSuffix(line, "\n"))
		}
	}
	return got
}

// childrenOfDirlock returns the command and the decoy of "dirlock run", once both
// are there.
func childrenOfDirlock(t *testing.T, pid int) (command, decoy int) {
	t.Helper()
	for command == 0 || decoy == 0 {
		for _, child := range childrenOf(t, pid) {
			if name, _ := os.ReadFile("/proc/" + itoa(child) + "/comm"); string(name) == decoyName+"\n" {
				decoy = child
			} else if command == 0 {
				command = child
			}
		}
	}
	return command, decoy
}

// childrenOf returns the processes that a process has started.
func childrenOf(t *testing.T, pid int) (pids []int) {
	t.Helper()
	out, err := exec.Command("pgrep", "-P", itoa(pid)).Output()
	require.NoError(t, err)
	for _, f := range strings.Fields(string(out)) {
		pids = append(pids, atoi(t, f))
	}
	return pids
}

// Each signal reaches the command once, whoever sent it to whom.
func TestSignalsOnce(t *testing.T) {
	group := &syscall.SysProcAttr{Setpgid: true}
	for _, c := range []struct {
		name string
		send func(c counter)
		want []string
	}{
		{"to dirlock", func(c counter) {
			require.NoError(c.t, syscall.Kill(c.dirlock(), unix.SIGTERM))
		}, []string{"got SIGTERM"}},
		{"to the group", func(c counter) {
			require.NoError(c.t, syscall.Kill(-c.Process.Pid, unix.SIGTERM))
		}, []string{"got SIGTERM"}},
		{"to dirlock and then to the group", func(c counter) { // timeout(1)
			require.NoError(c.t, syscall.Kill(c.dirlock(), unix.SIGTERM))
			require.NoError(c.t, syscall.Kill(-c.Process.Pid, unix.SIGTERM))
		}, []string{"got SIGTERM"}},
		{"to the group and then to dirlock", func(c counter) {
			require.NoError(c.t, syscall.Kill(-c.Process.Pid, unix.SIGTERM))
			require.NoError(c.t, syscall.Kill(c.dirlock(), unix.SIGTERM))
		}, []string{"got SIGTERM"}},
		{"to each of them", func(c counter) { // systemd
			pid := c.dirlock()
			for _, p := range append([]int{pid}, childrenOf(c.t, pid)...) {
				require.NoError(c.t, syscall.Kill(p, unix.SIGTERM))
			}
		}, []string{"got SIGTERM"}},
		{"different ones to the group", func(c counter) {
			for _, s := range []syscall.Signal{unix.SIGTERM, unix.SIGHUP, unix.SIGINT} {
				require.NoError(c.t, syscall.Kill(-c.Process.Pid, s))
			}
		}, []string{"got SIGHUP", "got SIGINT", "got SIGTERM"}},
		{"to all that are called dirlock", func(c counter) { // killall(1) does the same
			for _, by := range [][]string{{"-x", "dirlock"}, {"-f", "^dirlock run"}} {
				out, err := exec.Command("pkill", append([]string{"-USR1", "-g", itoa(c.Process.Pid)}, by...)...).CombinedOutput()
				require.NoError(c.t, err, "%s", out)
			}
		}, []string{"got SIGUSR1"}},
		{"to the command", func(c counter) {
			command, _ := childrenOfDirlock(c.t, c.dirlock())
			require.NoError(c.t, syscall.Kill(command, unix.SIGTERM))
		}, []string{"got SIGTERM"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := startCounter(t, group)
			// dirlock stands still meanwhile, because it cannot wait for a test
			// that others keep from running.
			require.NoError(t, syscall.Kill(p.dirlock(), unix.SIGSTOP))
			c.send(p)
			require.NoError(t, syscall.Kill(p.dirlock(), unix.SIGCONT))
			got := p.got(len(c.want))
			require.ElementsMatch(t, c.want, got)
			require.NoError(t, p.in.Close())
			p.exits(len(got) + 1)
			requireEmpty(t, p.dir)
		})
	}
}

// Signals that dirlock begins to catch only when its command has run for a while
// are passed on, too.
func TestRareSignals(t *testing.T) {
	for _, s := range []syscall.Signal{unix.SIGALRM, unix.SIGPWR, 40} {
		p := start(t, "dirlock", "run", t.TempDir(), "job", "count", itoa(int(s)))
		p.says("ready")
		got := make(chan struct{})
		go func() {
			defer close(got)
			p.says("got " + unix.SignalName(s))
		}()
		for passedOn := false; !passedOn; {
			require.NoError(t, p.Process.Signal(s))
			select {
			case <-got:
				passedOn = true
			default:
			}
		}
	}
}

// timeout(1) sends the signal to dirlock, and then to the group: when the time is
// over, and also when it gets one itself.
func TestSignalOnceFromTimeout(t *testing.T) {
	if _, err := exec.LookPath("timeout"); err != nil {
		t.Skip(err)
	}
	p := startCounter(t, nil, "timeout", "600")
	require.NoError(t, p.Process.Signal(unix.SIGTERM))
	p.says("got SIGTERM")
	require.Empty(t, p.got(0))
	require.NoError(t, p.in.Close())
	p.exits(2)
}

// A command that has a group of its own gets what dirlock's group gets.
func TestSignalToOtherGroup(t *testing.T) {
	p := startWith(t, &syscall.SysProcAttr{Setpgid: true}, "dirlock", "run", t.TempDir(), "--", "setsid", "-w", "job", "count", "SIGTERM")
	p.says("ready")
	require.NoError(t, syscall.Kill(-p.Process.Pid, unix.SIGTERM))
	// setsid(1) forks if it leads a group, which it does not here.
	p.says("got SIGTERM")
	require.NoError(t, p.in.Close())
	p.exits(1)
}

// The decoy leaves no trace, and ends with dirlock even if that is killed.
func TestDecoyEnds(t *testing.T) {
	p := startCounter(t, nil)
	pid := p.dirlock()
	require.Len(t, childrenOf(t, pid), 2)
	_, decoy := childrenOfDirlock(t, pid)
	fd, err := unix.PidfdOpen(decoy, 0)
	require.NoError(t, err)
	defer unix.Close(fd)
	require.NoError(t, syscall.Kill(pid, unix.SIGKILL))
	for n := 0; n == 0 || err == unix.EINTR; {
		n, err = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1)
	}
	require.NoError(t, err)
}

// A standard error that takes nothing makes dirlock neither deaf nor late.
func TestBlockedStderr(t *testing.T) {
	for _, held := range []bool{true, false} {
		r, w, err := os.Pipe()
		require.NoError(t, err)
		defer r.Close()
		defer w.Close()
		fd := int(w.Fd())
		require.NoError(t, unix.SetNonblock(fd, true))
		for err == nil {
			_, err = unix.Write(fd, make([]byte, 4096))
		}
		require.ErrorIs(t, err, unix.EAGAIN)
		require.NoError(t, unix.SetNonblock(fd, false))

		dir := t.TempDir()
		l := lock.New(dir)
		require.NoError(t, l.Lock())
		cmd := exec.Command("dirlock", "run", "-v", dir, "job", "hold")
		cmd.Stderr = w
		in, err := cmd.StdinPipe()
		require.NoError(t, err)
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		t.Cleanup(func() { _ = cmd.Process.Kill() })
		if !held {
			require.NoError(t, l.Unlock())
			b := make([]byte, 6)
			_, err = out.Read(b)
			require.NoError(t, err)
			require.Equal(t, "ready\n", string(b))
			stateIs(t, dir, 1)
		} else {
			waitForSignalHandler(t, cmd.Process.Pid)
		}
		require.NoError(t, cmd.Process.Signal(unix.SIGTERM))
		_, _ = cmd.Process.Wait() // and not for what is written
		_ = in.Close()
		stateIs(t, dir, lock.State(map[bool]int{true: 1}[held]))
		if held {
			require.NoError(t, l.Unlock())
		}
		requireEmpty(t, dir)
	}
}

// waitForSignalHandler returns when a process catches SIGTERM.
func waitForSignalHandler(t *testing.T, pid int) {
	t.Helper()
	for {
		status, err := os.ReadFile("/proc/" + itoa(pid) + "/status")
		require.NoError(t, err)
		_, mask, _ := strings.Cut(string(status), "\nSigCgt:\t")
		n := mask[:16]
		if b := n[12]; strings.ContainsRune("4567cdef", rune(b)) { // bit 14
			return
		}
	}
}
