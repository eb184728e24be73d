package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dirlock/dirlock/lock"
)

// publicProgram returns a dirlock that every user can execute.
func publicProgram(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "dirlock-test")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o755))
	self, err := os.ReadFile("/proc/self/exe")
	require.NoError(t, err)
	program := filepath.Join(dir, "dirlock")
	require.NoError(t, os.WriteFile(program, self, 0o755))
	return program
}

// What is wrong with the permissions is said, and what helps against it.
func TestPermissionHints(t *testing.T) {
	requireRoot(t) // to be two users
	program := publicProgram(t)
	for _, c := range []struct {
		name string
		make func(dir string) string // returns the directory to lock
		hint string
	}{
		{"private parent", func(dir string) string {
			require.NoError(t, os.Mkdir(dir+"/private", 0o700))
			require.NoError(t, os.Mkdir(dir+"/private/d", 0o777))
			return dir + "/private/d"
		}, `permission denied\nhint: this user may not pass through .*/private: its owner can allow it with chmod \+x\n$`},
		{"not writable", func(dir string) string {
			require.NoError(t, os.Mkdir(dir+"/d", 0o755))
			return dir + "/d"
		}, `permission denied\nhint: this user needs the permissions rwx on the directory, which has -rwxr-xr-x\n$`},
		{"sticky", func(dir string) string {
			d := dir + "/d"
			require.NoError(t, os.Mkdir(d, 0o777))
			require.NoError(t, os.Chmod(d, 0o777|os.ModeSticky))
			l := lock.New(d)
			require.NoError(t, l.Lock())
			record, err := os.ReadFile(d + "/L0")
			require.NoError(t, err)
			require.NoError(t, l.Unlock())
			// Of a process that is dead, and of another user.
			require.NoError(t, os.WriteFile(d+"/L0", record[:20], 0o644))
			return d
		}, `\nhint: the directory is sticky \(like /tmp\), where nobody may remove the lock file of another user: use a directory of its own, without the sticky bit\n$`},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, err := os.MkdirTemp("/tmp", "dirlock-test")
			require.NoError(t, err)
			t.Cleanup(func() { _ = os.RemoveAll(dir) })
			require.NoError(t, os.Chmod(dir, 0o755))
			cmd := exec.Command(program, "run", "-n", c.make(dir), "true")
			cmd.Dir = "/"
			// Where coverage is measured, this user has to write it down, too.
			cover := dir + "/cover"
			require.NoError(t, os.Mkdir(cover, 0o777))
			require.NoError(t, os.Chmod(cover, 0o777))
			cmd.Env = append(cmd.Environ(), "GOCOVERDIR="+cover)
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: nobody}
			out, _ := cmd.CombinedOutput()
			require.Equal(t, exitCannotWrite, cmd.ProcessState.ExitCode(), "%s", out)
			require.Regexp(t, `^dirlock: .*`+c.hint, string(out))
		})
	}
}

// Too few descriptors are no fault of the command.
func TestTooManyFiles(t *testing.T) {
	said := 0
	for n := 8; n < 30; n++ { // the Go runtime needs as many as 8
		dir := t.TempDir()
		out, err := exec.Command("sh", "-c", `ulimit -n "$0"; exec dirlock run -n "$1" true`, itoa(n), dir).CombinedOutput()
		requireEmpty(t, dir)
		if err == nil {
			break
		}
		if strings.HasPrefix(string(out), "dirlock: ") {
			require.Regexp(t, `too many open files\nhint: raise the limit of open files \(ulimit -n\), or close some\n$`, string(out))
			said++
		}
	}
	require.NotZero(t, said)
}
