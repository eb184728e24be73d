//go:build unix

package examples_test

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dirlock/dirlock/lock"
)

// build builds one of the programs.
func build(t *testing.T, name string) string {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("asks the go command")
	}
	bin := filepath.Join(t.TempDir(), name)
	out, err := exec.Command("go", "build", "-o", bin, "./"+name).CombinedOutput()
	require.NoError(t, err, "%s", out)
	return bin
}

// A newcomer wrote the same programs with github.com/gofrs/flock, of which they
// cannot tell who has the lock, nor that it is lost, and had so many lines.
func TestLines(t *testing.T) {
	for name, most := range map[string]int{"daemon": 47, "buildcache": 58, "database": 58} {
		data, err := os.ReadFile(filepath.Join(name, "main.go"))
		require.NoError(t, err)
		assert.LessOrEqual(t, bytes.Count(data, []byte("\n")), most, name)
	}
}

// A daemon ends well when it is told to, and badly when its lock is lost. Another
// one is refused, and told by whom.
func TestDaemon(t *testing.T) {
	bin := build(t, "daemon")
	for name, test := range map[string]struct {
		end  func(p *os.Process, dir string) error
		says string // at the end
	}{
		"signal": {func(p *os.Process, _ string) error { return p.Signal(syscall.SIGTERM) }, ""},
		"lost":   {func(_ *os.Process, dir string) error { return os.Remove(filepath.Join(dir, "L0")) }, "the lock was lost"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "new", "dir")
			cmd := exec.Command(bin, dir)
			stderr, err := cmd.StderrPipe()
			require.NoError(t, err)
			require.NoError(t, cmd.Start())
			lines := bufio.NewScanner(stderr)
			require.True(t, lines.Scan())
			require.Contains(t, lines.Text(), "serving "+dir)

			out, err := exec.Command(bin, dir).CombinedOutput()
			require.Error(t, err)
			require.Contains(t, string(out), fmt.Sprintf("held by daemon (daemon, process %d)", cmd.Process.Pid))

			require.NoError(t, test.end(cmd.Process, dir))
			said := ""
			for lines.Scan() {
				said += lines.Text()
			}
			err = cmd.Wait()
			require.Contains(t, said, test.says)
			require.Equal(t, test.says == "", err == nil)
			require.NoFileExists(t, filepath.Join(dir, "L0"))
		})
	}
}

// Of many processes that need one result, one makes it.
func TestBuildCache(t *testing.T) {
	bin, cache := build(t, "buildcache"), filepath.Join(t.TempDir(), "cache")
	made := filepath.Join(t.TempDir(), "made")
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			out, err := exec.Command(bin, cache, "sh", "-c", "echo x >>"+made+"; echo result").Output()
			assert.NoError(t, err)
			assert.Equal(t, "result\n", string(out))
		})
	}
	wg.Wait()
	data, err := os.ReadFile(made)
	require.NoError(t, err)
	require.Equal(t, "x\n", string(data))
	left, err := filepath.Glob(cache + "/*/*")
	require.NoError(t, err)
	require.Len(t, left, 1, "the result")
}

// What one process writes the next one finds, and a lock is none of the data.
func TestDatabase(t *testing.T) {
	bin, dir := build(t, "database"), filepath.Join(t.TempDir(), "db")
	for _, text := range []string{"one", "two"} {
		out, err := exec.Command(bin, dir, text).CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1)
	data, err := os.ReadFile(filepath.Join(dir, "log"))
	require.NoError(t, err)
	require.Equal(t, "one\ntwo\n", string(data))

	// One reads while another one does, and nobody writes meanwhile.
	reader := lock.New(dir, lock.WithName(".db"))
	require.NoError(t, reader.RLock())
	out, err := exec.Command(bin, dir).CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Equal(t, "one\ntwo\n", string(out))
	out, err = exec.Command(bin, dir, "three").CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "shared by")
	require.NoError(t, reader.RUnlock())

	require.NoError(t, os.WriteFile(filepath.Join(dir, ".db.L0"), []byte("hello"), 0o644))
	out, err = exec.Command(bin, dir, "three").CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), ".db.L0: not a lock record")
}
