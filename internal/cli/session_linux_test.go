package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/dirlock/dirlock/lock"
)

// The lock of "dirlock lock" frees itself when its owner dies, and nothing is
// left.
func TestLockDiesWithShell(t *testing.T) {
	for _, kill := range []bool{true, false} {
		dir := t.TempDir()
		p := start(t, "sh", "-c", `dirlock lock "$0" && echo locked; read x; exit 3`, dir)
		p.says("locked")
		require.Equal(t, p.Process.Pid, ownerPID(t, dir))
		require.True(t, refused(t, dir))
		if kill {
			require.NoError(t, p.Process.Signal(unix.SIGKILL))
			p.exits(128 + 9)
		} else {
			require.NoError(t, p.in.Close())
			p.exits(3)
		}
		l := lock.New(dir)
		require.NoError(t, l.Lock()) // it wakes up
		require.NoError(t, l.Unlock())
		requireEmpty(t, dir)
	}
}

// The keeper ends with the lock.
func TestKeeperEnds(t *testing.T) {
	dir := t.TempDir()
	p := start(t, "sh", "-c", `dirlock lock "$0" && echo locked; read x; dirlock unlock "$0"; read x`, dir)
	p.says("locked")
	keeper := keeperOf(t, dir)
	_, err := p.in.Write([]byte("\n"))
	require.NoError(t, err)
	waitForEnd(t, keeper)
	requireEmpty(t, dir)
}

// keeperOf returns the keeper of a directory.
func keeperOf(t *testing.T, dir string) int {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(t, err)
	for _, file := range files {
		if text, _ := os.ReadFile(file); strings.Contains(string(text), "\x00"+keeperArg+"\x00"+dir+"\x00") {
			return atoi(t, filepath.Base(filepath.Dir(file)))
		}
	}
	require.Fail(t, "no keeper")
	return 0
}
