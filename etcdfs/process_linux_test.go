package etcdfs_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/dirlock/dirlock/etcdfs"
	"github.com/dirlock/dirlock/etcdfs/internal/etcdtest"
	"github.com/dirlock/dirlock/lock"
	"github.com/dirlock/dirlock/proc"
)

// What the test binary is in another process: a holder.
const (
	roleEnv = "ETCDFS_TEST_ROLE"
	dirEnv  = "ETCDFS_TEST_DIR"
)

func TestMain(m *testing.M) {
	if endpoint := os.Getenv(roleEnv); endpoint != "" {
		if err := hold(endpoint, os.Getenv(dirEnv)); err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// elsewhere is the process table of another machine.
type elsewhere struct{ proc.Table }

func (e elsewhere) Self() (proc.Identity, error) {
	id, err := e.Table.Self()
	id.Boot, id.Host = "another-boot", "another-host"
	return id, err
}

// hold has the lock until it is told to go on.
func hold(endpoint, dir string) error {
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}})
	if err != nil {
		return err
	}
	defer c.Close()
	l := lock.New(dir, lock.WithProcesses(elsewhere{proc.OS()}), lock.WithFS(etcdfs.New(c, etcdfs.WithTTL(holderTTL))))
	if err := l.Lock(); err != nil {
		return err
	}
	token, _ := l.Token()
	fmt.Println("token", token)
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
	fmt.Println("check", errors.Is(l.Check(), lock.ErrLost))
	fmt.Println("unlock", errors.Is(l.Unlock(), lock.ErrLost))
	return nil
}

const holderTTL = 2 * time.Second

// holder is a process on another machine that has the lock.
type holder struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   *bufio.Scanner
	token uint64
}

func startHolder(t *testing.T, s *etcdtest.Server, dir string) *holder {
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), roleEnv+"="+s.Endpoint, dirEnv+"="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	h := &holder{cmd: cmd, in: in, out: bufio.NewScanner(out)}
	_, err = fmt.Sscanf(h.line(), "token %d", &h.token)
	require.NoError(t, err)
	return h
}

func (h *holder) line() string {
	h.out.Scan()
	return strings.TrimSpace(h.out.Text())
}

// A process of another machine is killed: nobody has to say so.
func TestKill(t *testing.T) {
	etcdtest.Each(t, func(t *testing.T, s *etcdtest.Server) {
		const dir = "/locks/kill"
		l := newLock(s.Client(t), dir, etcdfs.WithTTL(holderTTL))
		var longest time.Duration
		for range 5 {
			h := startHolder(t, s, dir)
			status, err := l.Status()
			require.NoError(t, err)
			owner, ok := status.Owner()
			require.True(t, ok)
			require.Equal(t, "another-host", owner.Owner.Host)
			require.Equal(t, proc.Alive, owner.State)
			require.NoError(t, h.cmd.Process.Kill())
			start := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			require.NoError(t, l.LockContext(ctx))
			cancel()
			longest = max(longest, time.Since(start))
			token, ok := l.Token()
			require.True(t, ok)
			require.Greater(t, token, h.token)
			require.NoError(t, l.Unlock())
		}
		t.Logf("TTL %v: the next owner had the lock %v after the kill at most", holderTTL, longest)
	})
}

// A process is stopped for longer than its lease, and finds out when it goes on.
func TestStop(t *testing.T) {
	etcdtest.Each(t, func(t *testing.T, s *etcdtest.Server) {
		const dir = "/locks/stop"
		client := s.Client(t)
		l := newLock(client, dir, etcdfs.WithTTL(holderTTL))
		h := startHolder(t, s, dir)
		require.NoError(t, h.cmd.Process.Signal(syscall.SIGSTOP))
		require.NoError(t, l.LockContext(t.Context()))
		before, err := client.Get(t.Context(), dir+"/L0")
		require.NoError(t, err)
		require.NoError(t, h.cmd.Process.Signal(syscall.SIGCONT))
		_, err = io.WriteString(h.in, "\n")
		require.NoError(t, err)
		assert.Equal(t, "check true", h.line())
		assert.Equal(t, "unlock true", h.line())
		after, err := client.Get(t.Context(), dir+"/L0")
		require.NoError(t, err)
		assert.Equal(t, before.Kvs, after.Kvs)
		require.NoError(t, l.Check())
		require.NoError(t, l.Unlock())
	})
}
