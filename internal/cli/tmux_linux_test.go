package cli

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dirlock/dirlock/lock"
)

// screen is a window of tmux(1).
type screen struct {
	t      *testing.T
	socket string
}

func newScreen(t *testing.T, command string) screen {
	if _, err := exec.LookPath("tmux"); err != nil {
		t.Skip(err)
	}
	s := screen{t, t.TempDir() + "/tmux"}
	s.tmux("-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "10", command)
	t.Cleanup(func() { _ = exec.Command("tmux", "-S", s.socket, "kill-server").Run() })
	return s
}

func (s screen) tmux(args ...string) string {
	s.t.Helper()
	out, err := exec.Command("tmux", append([]string{"-S", s.socket}, args...)...).CombinedOutput()
	require.NoError(s.t, err, "%s", out)
	return string(out)
}

// shows waits until the window has a single line that is so.
func (s screen) shows(want func(line string) bool) string {
	s.t.Helper()
	for {
		text := strings.TrimSpace(s.tmux("capture-pane", "-p"))
		if !strings.Contains(text, "\n") && want(text) {
			return text
		}
	}
}

// The waiting line says for which directory, and who has it, at 80 columns and
// after the window has become narrower.
func TestWaitingLineOnScreen(t *testing.T) {
	dir := t.TempDir()
	l := lock.New(dir, lock.WithCommand("dirlock run backup.sh"))
	require.NoError(t, l.Lock())
	path, err := exec.LookPath("dirlock")
	require.NoError(t, err)
	s := newScreen(t, path+" run "+dir+" true; cat")
	end := dir[len(dir)-8:]
	tells := func(line string) bool {
		return strings.Contains(line, "waiting ") && strings.Contains(line, end) && strings.Contains(line, "backup.sh (")
	}
	s.shows(tells)
	s.tmux("resize-window", "-x", "50")
	line := s.shows(func(line string) bool { return tells(line) && len(line) <= 50 })
	require.True(t, strings.HasPrefix(line, "waiting "), line)
	require.NoError(t, l.Unlock())
	s.shows(func(line string) bool { return line == "" })
}

// A job in the background of its terminal does not write over the prompt.
func TestWaitingLineInBackground(t *testing.T) {
	dir := t.TempDir()
	l := lock.New(dir)
	require.NoError(t, l.Lock())
	path, err := exec.LookPath("dirlock")
	require.NoError(t, err)
	s := newScreen(t, "PS1='ready> ' bash --norc -i")
	s.shows(func(line string) bool { return line == "ready>" })
	until := func(want string) (text string) {
		for !strings.Contains(text, want) {
			text = s.tmux("capture-pane", "-p")
		}
		return text
	}
	job, err := exec.LookPath("job")
	require.NoError(t, err)
	s.tmux("send-keys", "clear; "+job+" line "+dir+" & wait; echo quiet", "Enter")
	require.NotContains(t, until("quiet\nready>"), "waiting")
	s.tmux("send-keys", "clear; "+path+" run "+dir+" true &", "Enter")
	until("] ")
	s.tmux("send-keys", "clear; fg", "Enter")
	until("waiting")
	require.NoError(t, l.Unlock())
}
