package main

import (
	"bufio"
	"bytes"
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/dirlock/dirlock/etcdfs/internal/etcdtest"
)

// TestMain is the command itself, in another process.
func TestMain(m *testing.M) {
	if os.Getenv("DIRLOCK_ETCD_TEST") != "" {
		_ = os.Unsetenv("DIRLOCK_ETCD_TEST")
		main()
	}
	os.Exit(m.Run())
}

// command is dirlock-etcd with arguments.
func command(t *testing.T, s *etcdtest.Server, args ...string) *exec.Cmd {
	self, err := os.Executable()
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Env = append(os.Environ(), "DIRLOCK_ETCD_TEST=1", "ETCDCTL_ENDPOINTS="+s.Endpoint)
	return cmd
}

// run runs it, and returns its exit status and what it says.
func run(t *testing.T, s *etcdtest.Server, args ...string) (status int, out, errs string) {
	cmd := command(t, s, args...)
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	_ = cmd.Run()
	return cmd.ProcessState.ExitCode(), o.String(), e.String()
}

// hold begins a run that ends when its standard input does.
func hold(t *testing.T, s *etcdtest.Server, args ...string) (cmd *exec.Cmd, token string, end func()) {
	cmd = command(t, s, append(args, "/locks/x", "--", "sh", "-c", `echo "token $DIRLOCK_TOKEN"; cat`)...)
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	return cmd, strings.TrimSpace(strings.TrimPrefix(line, "token ")), func() { _ = in.Close() }
}

// Two processes with the real command.
func TestCommand(t *testing.T) {
	etcdtest.Each(t, func(t *testing.T, s *etcdtest.Server) {
		status, out, _ := run(t, s, "status", "/locks/x")
		assert.Zero(t, status)
		assert.Contains(t, out, "free")

		holder, token, end := hold(t, s, "run", "--ttl", "15s", "--on-lost=term", "--label", "nightly")
		assert.NotEmpty(t, token)
		assert.NotEqual(t, "0", token)
		status, out, _ = run(t, s, "status", "/locks/x")
		assert.Equal(t, 1, status)
		assert.Contains(t, out, "nightly")
		assert.Contains(t, out, "its lease has not ended")
		status, _, errs := run(t, s, "run", "-n", "/locks/x", "--", "true")
		assert.Equal(t, 1, status, errs)
		assert.Contains(t, errs, "dirlock-etcd: ")
		status, _, errs = run(t, s, "run", "-w", "0.2", "/locks/x", "--", "true")
		assert.Equal(t, 1, status, errs)

		waits := command(t, s, "wait", "-q", "/locks/x")
		require.NoError(t, waits.Start())
		next := command(t, s, "run", "-q", "/locks/x", "--", "true")
		require.NoError(t, next.Start())
		end()
		require.NoError(t, holder.Wait())
		require.NoError(t, next.Wait())
		require.NoError(t, waits.Wait())
		got, err := s.Client(t).Get(t.Context(), "/locks/", clientv3.WithPrefix())
		require.NoError(t, err)
		assert.Empty(t, got.Kvs)
	})
}

// A lock that is lost ends the command.
func TestLost(t *testing.T) {
	s := etcdtest.Start(t, etcdtest.Embedded)
	holder, _, _ := hold(t, s, "run", "-q")
	status, _, errs := run(t, s, "break", "/locks/x", "--owner", "L0")
	assert.NotZero(t, status, "it is alive: %s", errs)
	_, err := s.Client(t).Delete(t.Context(), "/locks/x/L0")
	require.NoError(t, err)
	_ = holder.Wait()
	assert.Equal(t, 76, holder.ProcessState.ExitCode())
}

// Locks that cannot be had.
func TestErrors(t *testing.T) {
	s := etcdtest.Start(t, etcdtest.Embedded)
	for _, args := range [][]string{{"run", "-F", "/x", "--", "true"}, {"lock", "/x"}} {
		status, _, errs := run(t, s, args...)
		assert.Equal(t, 64, status, errs)
	}
	status, _, errs := run(t, s, "status", "--cert", "cert.pem", "--cacert", "none.pem", "/x")
	assert.NotZero(t, status)
	assert.Contains(t, errs, "belong together")
	s.End()
	status, _, errs = run(t, s, "run", "--dial-timeout", "200ms", "/x", "--", "true")
	assert.Equal(t, 69, status, errs)
	assert.Contains(t, errs, "the store is not available")
	assert.Contains(t, errs, "hint: ")
	_ = s
}
