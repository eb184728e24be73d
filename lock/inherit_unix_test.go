//go:build unix

package lock_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dirlock/dirlock/internal/testutil/reexec"
	"github.com/dirlock/dirlock/lock"
	"github.com/dirlock/dirlock/proc"
)

func init() {
	reexec.Register("inheritor", func([]string) { _, _ = io.Copy(io.Discard, os.Stdin) })
	// It locks a directory, starts an inheritor, and ends without an Unlock.
	reexec.Register("testator", func(args []string) {
		l := lock.New(args[0])
		l.Must().Lock()
		f, err := l.File()
		if err != nil {
			panic(err)
		}
		cmd := exec.Command("/proc/self/exe")
		if exe, err := os.Executable(); err == nil {
			cmd = exec.Command(exe)
		}
		cmd.Env = append(os.Environ(), "DIRLOCK_TEST_REEXEC=inheritor")
		cmd.Stdin = os.Stdin
		cmd.ExtraFiles = []*os.File{f}
		if err := cmd.Start(); err != nil {
			panic(err)
		}
		fmt.Println("started")
		os.Exit(0)
	})
}

// The lock is held as long as a program has the descriptor, though its owner is
// dead; and is free at once when that program has ended.
func TestFileKeepsLock(t *testing.T) {
	dir := t.TempDir()
	in, hold, err := os.Pipe()
	require.NoError(t, err)
	defer hold.Close()
	testator := reexec.Command(t, "testator", dir)
	testator.Stdin = in
	out, err := testator.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, testator.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "started\n", line)
	_, err = testator.Process.Wait()
	require.NoError(t, err)
	require.NoError(t, in.Close())

	l := lock.New(dir)
	ok, err := l.TryLock()
	require.NoError(t, err)
	require.False(t, ok, "its work goes on")
	status, err := l.Status()
	require.NoError(t, err)
	owner, _ := status.Owner()
	require.Equal(t, proc.Alive, owner.State)
	require.Contains(t, owner.Reason, "its command still runs")
	require.NoError(t, hold.Close()) // the inheritor ends
	require.NoError(t, l.Lock())
	require.NoError(t, l.Unlock())
}

// Unlock releases the lock, whoever has the descriptor.
func TestUnlockInSpiteOfFile(t *testing.T) {
	dir := t.TempDir()
	l := lock.New(dir)
	require.NoError(t, l.Lock())
	f, err := l.File()
	require.NoError(t, err)
	defer f.Close()
	require.NoError(t, l.Unlock())
	ok, err := lock.New(dir).TryLock()
	require.NoError(t, err)
	require.True(t, ok)
	_, err = l.File()
	require.True(t, errors.Is(err, lock.ErrNotHeld))
}
