package cli

import (
	"bufio"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// As process 1 of a container, dirlock reaps what its command leaves behind.
func TestReapsOrphans(t *testing.T) {
	requireRoot(t)
	p := startWith(t, &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS}, "sh", "-c",
		`mount --make-rprivate / && mount -t proc proc /proc && exec dirlock run "$0" -c '
			for i in 1 2 3 4 5; do (sh -c "sh -c : &" &); done
			echo ready
			read x
			while grep -l "^State:.*Z" /proc/[0-9]*/status >&2; do :; done
			echo clean'`, t.TempDir())
	p.says("ready")
	_, err := p.in.Write([]byte("\n"))
	require.NoError(t, err)
	p.says("clean")
	p.exits(0)
}

// A signal for a command that belongs to another user cannot be passed on, and
// dirlock says so.
func TestSignalToOtherUser(t *testing.T) {
	requireRoot(t)
	program := publicProgram(t)
	dir, err := os.MkdirTemp("/tmp", "dirlock-test")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o777))

	// A set-user-ID program of root's stands for sudo.
	setpriv, err := exec.LookPath("setpriv")
	if err != nil {
		t.Skip(err)
	}
	text, err := os.ReadFile(setpriv)
	require.NoError(t, err)
	sudo := program + "-sudo"
	require.NoError(t, os.WriteFile(sudo, text, 0o755))
	require.NoError(t, os.Chmod(sudo, 0o755|os.ModeSetuid))

	p := &process{Cmd: exec.Command(program, "run", dir, sudo, "--reuid=0", "--clear-groups", "cat"), t: t}
	p.SysProcAttr = &syscall.SysProcAttr{Credential: nobody}
	p.Dir = "/"
	r, w, err := os.Pipe()
	require.NoError(t, err)
	defer r.Close()
	p.Stderr = w
	p.begin()
	require.NoError(t, w.Close())
	_, err = p.in.Write([]byte("ready\n"))
	require.NoError(t, err)
	p.says("ready")
	require.NoError(t, p.Process.Signal(unix.SIGTERM))
	line, err := bufio.NewReader(r).ReadString('\n')
	require.NoError(t, err)
	require.Regexp(t, `^dirlock: cannot pass SIGTERM on to the command \(process \d+\): it runs as another user\n$`, line)
	require.NoError(t, p.in.Close())
	p.exits(0)
	requireEmpty(t, dir)
}

var nobody = &syscall.Credential{Uid: 65534, Gid: 65534}

func requireRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
}
