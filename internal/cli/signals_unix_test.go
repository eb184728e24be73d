//go:build unix

package cli

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/dirlock/dirlock/lock"
)

// countSignals is "job count".
func countSignals(names []string) {
	c := make(chan os.Signal, 16)
	for _, name := range names {
		s := unix.SignalNum(name)
		if n, err := strconv.Atoi(name); err == nil {
			s = syscall.Signal(n)
		}
		signal.Notify(c, s)
	}
	fmt.Println("ready")
	end := make(chan bool)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(end)
	}()
	for n := 0; ; {
		select {
		case s := <-c:
			n++
			fmt.Println("got", unix.SignalName(s.(syscall.Signal)))
		case <-end:
			os.Exit(n)
		}
	}
}

// The command gets the signal, runs to its own end, and only then is the lock
// free.
func TestSignalReachesChild(t *testing.T) {
	for _, s := range []syscall.Signal{
		unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2, unix.SIGWINCH,
	} {
		name := unix.SignalName(s)
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			p := start(t, "dirlock", "run", dir, "--", "job", "count", name)
			p.says("ready")
			require.NoError(t, p.Process.Signal(s))
			p.says("got " + name)
			require.NoError(t, p.Process.Signal(s))
			p.says("got " + name)
			stateIs(t, dir, lock.Held)
			require.NoError(t, p.in.Close())
			p.exits(2)
			requireEmpty(t, dir)
		})
	}
}

func TestSignalEndsChild(t *testing.T) {
	dir := t.TempDir()
	p := start(t, "dirlock", "run", dir, "job", "hold")
	p.says("ready")
	require.NoError(t, p.Process.Signal(unix.SIGTERM))
	p.exits(128 + int(unix.SIGTERM))
	requireEmpty(t, dir)
}

// A shell's trap runs while the lock is held, and its status comes back.
func TestTrap(t *testing.T) {
	dir := t.TempDir()
	p := start(t, "dirlock", "run", dir, "-c", `
		trap 'test -e "$DIRLOCK_DIR/L0" && echo cleaning; exit 7' TERM
		echo ready
		while read line; do :; done`)
	p.says("ready")
	require.NoError(t, p.Process.Signal(unix.SIGTERM))
	go func() {
		// Some shells finish a read before they run a trap.
		for _, err := p.in.Write([]byte("\n")); err == nil; {
			_, err = p.in.Write([]byte("\n"))
		}
	}()
	p.says("cleaning")
	p.exits(7)
	requireEmpty(t, dir)
}

// A signal while dirlock waits ends it, and leaves nothing behind.
func TestSignalWhileWaiting(t *testing.T) {
	for _, command := range [][]string{{"run"}, {"wait"}} {
		for _, s := range []syscall.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT} {
			t.Run(command[0]+" "+unix.SignalName(s), func(t *testing.T) {
				dir := t.TempDir()
				l := lock.New(dir)
				require.NoError(t, l.Lock())
				before := names(t, dir)

				args := append(command, dir)
				if command[0] == "run" {
					args = append(args, "job", "exit", "3")
				}
				p := exec.Command("dirlock", args...)
				says, err := p.StderrPipe()
				require.NoError(t, err)
				require.NoError(t, p.Start())
				t.Cleanup(func() { _ = p.Process.Kill() })
				_, err = says.Read(make([]byte, 1)) // it begins to say that it waits
				require.NoError(t, err)
				require.NoError(t, p.Process.Signal(s))
				_, err = io.Copy(io.Discard, says)
				require.NoError(t, err)
				_ = p.Wait()

				require.Equal(t, 128+int(s), p.ProcessState.ExitCode())
				require.Equal(t, before, names(t, dir))
				require.NoError(t, l.Unlock())
				requireEmpty(t, dir)
			})
		}
	}
}

// nohup(1) ignores SIGHUP, and the command has to find it ignored.
func TestIgnoredSignalStaysIgnored(t *testing.T) {
	dir := t.TempDir()
	out, err := exec.Command("sh", "-c", `trap '' HUP; exec dirlock run "$0" -c 'kill -HUP $$ $PPID; echo survived'`, dir).Output()
	require.NoError(t, err)
	require.Equal(t, "survived\n", string(out))
}

// With --close, the lock is free as soon as dirlock is gone, although its command
// goes on.
func TestKillClose(t *testing.T) {
	dir := t.TempDir()
	p := start(t, "dirlock", "run", "--close", dir, "job", "hold")
	p.says("ready")
	require.NoError(t, p.Process.Kill())
	_, err := p.Process.Wait()
	require.NoError(t, err)

	stateIs(t, dir, lock.Stale)
	out, err := exec.Command("dirlock", "run", "-n", dir, "echo", "free").CombinedOutput()
	require.NoError(t, err)
	require.Equal(t, "free\n", string(out))
	requireEmpty(t, dir)

	_, err = p.in.Write([]byte("the orphan still reads\n"))
	require.NoError(t, err)
	require.NoError(t, p.in.Close())
	_, err = p.out.ReadByte()
	require.ErrorIs(t, err, io.EOF) // the orphan has ended by itself
}

func TestKillChild(t *testing.T) {
	if _, err := killWithParent(); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	p := start(t, "dirlock", "run", "--kill-child", dir, "job", "hold")
	p.says("ready")
	require.NoError(t, p.Process.Kill())
	_, err := p.Process.Wait()
	require.NoError(t, err)
	// Its standard input is still open: nothing but the kill ends it.
	_, err = p.out.ReadByte()
	require.ErrorIs(t, err, io.EOF)
}

// With --kill-child, the command lives as long as dirlock does, whatever happens
// to its threads.
func TestKillChildTooEarly(t *testing.T) {
	if _, err := killWithParent(); err != nil {
		t.Skip(err)
	}
	p := startWith(t, &syscall.SysProcAttr{Setpgid: true}, "dirlock", "run", "--kill-child", t.TempDir(), "job", "count", "SIGUSR1")
	p.says("ready")
	for range 100 {
		require.NoError(t, syscall.Kill(-p.Process.Pid, unix.SIGUSR1))
		p.says("got SIGUSR1")
	}
	require.NoError(t, p.in.Close())
	p.exits(100)
}

// A closed standard error does not end dirlock before its command.
func TestClosedStderr(t *testing.T) {
	dir := t.TempDir()
	p := exec.Command("dirlock", "run", "-v", dir, "job", "exit", "3")
	r, w, err := os.Pipe()
	require.NoError(t, err)
	require.NoError(t, r.Close())
	p.Stderr = w
	_ = p.Run()
	require.NoError(t, w.Close())
	require.Equal(t, 3, exitStatus(p.ProcessState))
	requireEmpty(t, dir)
}

// The lock is lost: the holder says so, and does not report what the command does,
// unless that is wanted, and then not success.
func TestLost(t *testing.T) {
	for _, c := range []struct {
		end    int
		onLost string
		want   int
	}{{0, "term", exitLost}, {3, "term", exitLost}, {0, "ignore", exitLost}, {3, "ignore", 3}} {
		dir := t.TempDir()
		out, err := exec.Command("dirlock", "run", "-q", "--on-lost", c.onLost, dir, "-c", fmt.Sprintf(`rm "$DIRLOCK_DIR"/L0; exit %d`, c.end)).CombinedOutput()
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit)
		require.Equal(t, c.want, exit.ExitCode())
		require.Contains(t, string(out), "the lock was lost")
	}
}

// "status --watch" prints what has changed, until a signal comes.
func TestStatusWatch(t *testing.T) {
	dir := t.TempDir()
	p := start(t, "dirlock", "status", "--watch", dir)
	p.says(dir + " is free")
	l := lock.New(dir)
	require.NoError(t, l.Lock())
	line, err := p.out.ReadString('\n')
	require.NoError(t, err)
	require.Contains(t, line, " is held by ")
	for !strings.Contains(line, " is free") {
		_ = l.Unlock()
		line, err = p.out.ReadString('\n')
		require.NoError(t, err)
	}
	require.NoError(t, p.Process.Signal(unix.SIGTERM))
	p.exits(143)
}
