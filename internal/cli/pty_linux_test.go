package cli

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/dirlock/dirlock/lock"
)

// terminal is the keyboard and the screen of a command in a new session.
type terminal struct {
	*exec.Cmd
	t      *testing.T
	keys   *os.File
	screen strings.Builder // all that came
}

// startOnTerminal starts a command on a terminal of so many columns.
func startOnTerminal(t *testing.T, columns uint16, name string, args ...string) *terminal {
	t.Helper()
	keys, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = keys.Close() })
	// See pts(4) and TIOCSPTLCK in ioctl_tty(2).
	fd := int(keys.Fd())
	require.NoError(t, unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	require.NoError(t, err)
	require.NoError(t, unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: columns}))
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	defer tty.Close()

	cmd := exec.Command(name, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return &terminal{Cmd: cmd, t: t, keys: keys}
}

// shows waits until the screen has been sent a text n times.
func (p *terminal) shows(text string, n int) {
	p.t.Helper()
	b := make([]byte, 1024)
	for strings.Count(p.screen.String(), text) < n {
		k, err := p.keys.Read(b)
		require.NoError(p.t, err, "%q", p.screen.String())
		p.screen.Write(b[:k])
	}
}

// exits waits for the end, and for a status. It returns the whole screen.
func (p *terminal) exits(want int) string {
	p.t.Helper()
	_, _ = io.Copy(&p.screen, p.keys) // it ends with EIO
	_ = p.Wait()
	require.Equal(p.t, want, exitStatus(p.ProcessState), "%q", p.screen.String())
	return p.screen.String()
}

// Ctrl-C reaches the command once: by the terminal. From elsewhere, TERM reaches
// it by dirlock.
func TestInterruptFromTerminal(t *testing.T) {
	p := startOnTerminal(t, 80, "dirlock", "run", t.TempDir(), "job", "count", "SIGINT", "SIGTERM", "SIGWINCH")
	p.shows("ready", 1)
	// dirlock stands still while the command gets the first SIGINT: two at the
	// same time could look like one.
	require.NoError(t, p.Process.Signal(unix.SIGSTOP))
	_, err := p.keys.WriteString("\x03")
	require.NoError(t, err)
	p.shows("got SIGINT", 1)
	require.NoError(t, p.Process.Signal(unix.SIGCONT))
	require.NoError(t, p.Process.Signal(unix.SIGTERM))
	p.shows("got SIGTERM", 1) // a second SIGINT would have been passed on before
	_, err = p.keys.WriteString("\x04")
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count(p.exits(2), "got SIGINT"))
}

// INT while dirlock waits on a terminal ends it.
func TestInterruptWhileWaiting(t *testing.T) {
	dir := t.TempDir()
	l := lock.New(dir)
	require.NoError(t, l.Lock())
	p := startOnTerminal(t, 80, "dirlock", "run", dir, "job", "exit", "0")
	p.shows("waiting", 1)
	_, err := p.keys.WriteString("\x03")
	require.NoError(t, err)
	require.Regexp(t, `\^C\r {60,}\r$`, p.exits(130)) // that is cleared, too
	require.NoError(t, l.Unlock())
	requireEmpty(t, dir)
}

// The waiting line updates itself, fits into the window, and clears itself.
func TestWaitingLine(t *testing.T) {
	const columns = 60
	dir := t.TempDir()
	l := lock.New(dir)
	require.NoError(t, l.Lock())
	p := startOnTerminal(t, columns, "dirlock", "run", dir, "job", "exit", "3")
	p.shows("\rwaiting ", 2)
	require.NoError(t, l.Unlock())
	screen := p.exits(3)

	require.NotContains(t, screen, "\n")
	lines := strings.Split(screen, "\r")
	require.Empty(t, lines[0])
	require.Empty(t, lines[len(lines)-1], "the cursor is at the start of the line")
	require.Empty(t, strings.TrimSpace(lines[len(lines)-2]), "the line is cleared")
	require.Regexp(t, `^waiting 0s for ….*: cli.test \(\d+\)`, lines[1])
	require.NotEqual(t, lines[1], lines[2])
	for _, line := range lines {
		require.Less(t, len(line), columns)
	}
	require.GreaterOrEqual(t, len(lines[len(lines)-2]), len(strings.TrimSpace(lines[len(lines)-3])))

	// Quiet is quiet on a terminal, too.
	require.NoError(t, l.Lock())
	p = startOnTerminal(t, columns, "dirlock", "run", "-q", "-w", "0.01", dir, "job", "exit", "3")
	require.Empty(t, p.exits(1))
	require.NoError(t, l.Unlock())
}

// What ends the waiting with an error clears the line, too.
func TestErrorWhileWaiting(t *testing.T) {
	dir := t.TempDir()
	for _, command := range [][]string{{"run", dir, "job"}, {"wait", dir}} {
		l := lock.New(dir)
		require.NoError(t, l.Lock())
		p := startOnTerminal(t, 80, "dirlock", command...)
		p.shows("waiting", 1)
		require.NoError(t, os.WriteFile(dir+"/L0", []byte("garbage"), 0o644))
		require.Regexp(t, `\r {60,}\rdirlock: .*not a lock record`, p.exits(65))
		require.ErrorIs(t, l.Unlock(), lock.ErrLost)
		require.NoError(t, os.Remove(dir+"/L0"))
	}
}

// The command finds one descriptor that dirlock has opened: what keeps the lock.
// With --close it finds none.
func TestDescriptors(t *testing.T) {
	dir := t.TempDir()
	direct, err := exec.Command("job", "files").Output()
	require.NoError(t, err)
	for more, args := range [][]string{{"run", "--close", dir}, {"run", dir}} {
		out, err := exec.Command("dirlock", append(args, "job", "files")...).Output()
		require.NoError(t, err)
		require.Equal(t, strings.Count(string(direct), "\n")+more, strings.Count(string(out), "\n"), "%s", out)
		require.Equal(t, more, strings.Count(string(out), dir), "%s", out)
	}
}

// In a shell at a terminal, a job in the background can wait for the lock of the
// shell, and a command in the foreground cannot.
func TestNestedAtTerminal(t *testing.T) {
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip(err)
	}
	t.Setenv("PS1", "$ ")
	dir := t.TempDir()
	p := startOnTerminal(t, 80, "bash", "--norc", "-i")
	_, err := p.keys.WriteString("cd " + dir + "; dirlock lock .; dirlock run . true; echo status=$?\n")
	require.NoError(t, err)
	p.shows("\nstatus=78", 1)
	_, err = p.keys.WriteString("dirlock run -q . echo lat''er &\n")
	require.NoError(t, err)
	_, err = p.keys.WriteString("echo bef''ore; dirlock unlock .; wait; exit\n")
	require.NoError(t, err)
	p.shows("before", 1)
	p.shows("later", 1)
	require.Equal(t, 1, strings.Count(p.exits(0), "it would wait for itself"))
}
