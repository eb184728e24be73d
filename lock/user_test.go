package lock_test

import (
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dirlock/dirlock/lock"
	"github.com/dirlock/dirlock/proc"
	"github.com/dirlock/dirlock/proc/proctest"
)

// The record says who the user is, and what for, to whoever asks.
func TestUserAndLabel(t *testing.T) {
	dir := t.TempDir()
	l := lock.New(dir, lock.WithLabel("nightly,\nto tape "), lock.WithCommand("backup"))
	require.NoError(t, l.Lock())
	owner, _ := l.Owner()
	require.Equal(t, "nightly,?to tape", owner.Label)
	require.Contains(t, owner.String(), "backup (nightly,?to tape, process ")
	if passwd, err := os.ReadFile("/etc/passwd"); err == nil {
		u, err := user.Current()
		require.NoError(t, err)
		if strings.Contains("\n"+string(passwd), "\n"+u.Username+":") {
			require.Equal(t, u.Username, owner.User)
		}
	}
	if runtime.GOOS != "windows" {
		require.NotEmpty(t, owner.User)
	}

	s, err := lock.New(dir).Status()
	require.NoError(t, err)
	held, _ := s.Owner()
	require.Equal(t, owner, held.Owner)
	data, err := os.ReadFile(filepath.Join(dir, "L0"))
	require.NoError(t, err)
	require.Contains(t, string(data), "\nuser "+owner.User+"\nlabel nightly,?to tape\n")
	require.NoError(t, l.Unlock())
}

// Invented processes have the user that a test gives them.
func TestWithUser(t *testing.T) {
	w := newWorld()
	for want, opts := range map[string][]lock.Option{"": nil, "alice": {lock.WithUser("alice")}} {
		l, _ := w.handle(opts...)
		require.NoError(t, l.LockNow())
		owner, _ := l.Owner()
		require.Equal(t, want, owner.User)
		require.NoError(t, l.Unlock())
	}
	l := lock.New(dirPath, lock.WithUser("bob"), lock.WithProcesses(proctest.NewFake().Start("x")), lock.WithFS(w))
	require.NoError(t, l.LockNow())
	owner, _ := l.Owner()
	require.Empty(t, owner.User, "the last option counts")
}

func TestUserIn(t *testing.T) {
	const passwd = "root:x:0:0:root:/root:/bin/sh\n# no user\n\nbroken:x\nalice:x:1000:1000::/:\nbob:x:1000:1::/:\n"
	for uid, want := range map[string]string{"0": "root", "1000": "alice", "100": "", "": "", "x": ""} {
		require.Equal(t, want, lock.UserIn(strings.NewReader(passwd), uid), uid)
	}
	require.Empty(t, lock.UserIn(strings.NewReader(strings.Repeat("x", 2<<20)), "1"), "a line too long")
}

func TestOwnerWithLabel(t *testing.T) {
	o := lock.Owner{Identity: proc.Identity{PID: 7}, Label: "nightly"}
	require.Equal(t, "nightly, process 7", o.String())
	o.Host = "h"
	require.Equal(t, "nightly, process 7 on h", o.String())
	o.Command = "backup"
	require.Equal(t, "backup (nightly, process 7) on h", o.String())
}
