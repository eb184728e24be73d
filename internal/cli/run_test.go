//go:build unix || windows

package cli

import (
	"io"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// 50 at once: one of them runs the command, and all others give up at once.
func TestStorm(t *testing.T) {
	const n = 50
	dir := t.TempDir()
	in, hold, err := os.Pipe()
	require.NoError(t, err)
	defer in.Close()
	defer hold.Close()
	out, count, err := os.Pipe()
	require.NoError(t, err)
	defer out.Close()

	status := make(chan int)
	for range n {
		// The one that gets the lock keeps it until all others have ended.
		cmd := exec.Command("dirlock", "run", "-n", "-q", "-E", "75", dir, "job", "hold")
		cmd.Stdin, cmd.Stdout = in, count
		require.NoError(t, cmd.Start())
		go func() {
			_ = cmd.Wait()
			status <- cmd.ProcessState.ExitCode()
		}()
	}
	require.NoError(t, count.Close())
	for range n - 1 {
		require.Equal(t, 75, <-status)
	}
	require.NoError(t, hold.Close())
	require.Equal(t, 0, <-status)
	ran, err := io.ReadAll(out)
	require.NoError(t, err)
	require.Equal(t, "ready\n", string(ran))
	requireEmpty(t, dir)
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func requireEmpty(t *testing.T, dir string) {
	t.Helper()
	require.Empty(t, names(t, dir))
}
