//go:build unix

package cli

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dirlock/dirlock/lock"
)

// The command is told the directory that was locked, though a link to it leads
// somewhere else by the time that the lock is acquired.
func TestLinkChangesWhileWaiting(t *testing.T) {
	parent, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	before, after, link := filepath.Join(parent, "before"), filepath.Join(parent, "after"), filepath.Join(parent, "link")
	require.NoError(t, os.Mkdir(before, 0o755))
	require.NoError(t, os.Mkdir(after, 0o755))
	require.NoError(t, os.Symlink(before, link))

	l := lock.New(before)
	require.NoError(t, l.Lock())
	cmd := exec.Command("dirlock", "run", link, "job", "env")
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	line, err := bufio.NewReader(stderr).ReadString('\n')
	require.NoError(t, err)
	require.Contains(t, line, "waiting")

	require.NoError(t, os.Remove(link))
	require.NoError(t, os.Symlink(after, link))
	require.NoError(t, l.Unlock())
	out, err := io.ReadAll(stdout)
	require.NoError(t, err)
	require.NoError(t, cmd.Wait())
	require.Contains(t, string(out), "DIRLOCK_DIR="+before+"\n")
}
