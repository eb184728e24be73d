package lock_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dirlock/dirlock/internal/testutil/reexec"
	"github.com/dirlock/dirlock/lock"
)

func init() {
	reexec.Register("waitHolder", waitHolder)
	reexec.Register("waitWaiter", waitWaiter)
}

// waitHolder holds the lock of args[0] until it is told something, and lives on
// until its standard input ends: its end must not be what wakes others.
func waitHolder(args []string) {
	l := lock.New(args[0]).Must()
	l.Lock()
	fmt.Println("held")
	_, _ = os.Stdin.Read(make([]byte, 1))
	l.Unlock()
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// waitWaiter waits for the lock of args[0]. It says "waiting" when it is about
// to sleep, "polling" and why if it has to, and "held" in the end. The other
// arguments tell what it must not depend on.
func waitWaiter(args []string) {
	log := &waitLog{}
	opts := []lock.Option{lock.WithLogger(slog.New(log))}
	onlyEvents := false
	for _, arg := range args[1:] {
		switch arg {
		case "only events":
			onlyEvents = true
		case "events off":
			opts = append(opts, lock.WithoutEvents())
		case "no inotify":
			// The limit of this user namespace (namespaces(7)).
			if err := os.WriteFile("/proc/sys/user/max_inotify_instances", []byte("0"), 0); err != nil {
				fmt.Println("skip:", err)
				return
			}
		}
	}
	l := lock.New(args[0], opts...)
	if onlyEvents {
		lock.OnlyEvents(l)
	}
	said := false
	lock.BeforePause(l, func(time.Duration) {
		if !said {
			said = true
			fmt.Println("waiting")
		}
	})
	if err := l.Lock(); err != nil {
		fmt.Println(err)
		return
	}
	for _, m := range log.polling() {
		fmt.Println(m)
	}
	fmt.Println("held")
	if err := l.Unlock(); err != nil {
		fmt.Println(err)
	}
}

// waitProcess is one of the above.
type waitProcess struct {
	*exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

func startWait(t *testing.T, cmd *exec.Cmd) *waitProcess {
	t.Helper()
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	return &waitProcess{cmd, in, bufio.NewScanner(out)}
}

// release makes a holder release the lock.
func (p *waitProcess) release() error {
	_, err := p.in.Write([]byte{0})
	return err
}

// says returns the next line that the process prints.
func (p *waitProcess) says() string {
	if !p.out.Scan() {
		return "nothing"
	}
	return p.out.Text()
}

func startHolder(t *testing.T, dir string) *waitProcess {
	t.Helper()
	p := startWait(t, reexec.Command(t, "waitHolder", dir))
	require.Equal(t, "held", p.says())
	return p
}

func startWaiter(t *testing.T, dir string, how ...string) *waitProcess {
	t.Helper()
	p := startWait(t, reexec.Command(t, "waitWaiter", append([]string{dir}, how...)...))
	require.Equal(t, "waiting", p.says())
	return p
}

func TestProcessWakesAtRelease(t *testing.T) {
	dir := t.TempDir()
	holder := startHolder(t, dir)
	waiter := startWaiter(t, dir, "only events")
	require.NoError(t, holder.release())
	require.Equal(t, "held", waiter.says())
	require.NoError(t, waiter.Wait())
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestProcessWakesAtKill(t *testing.T) {
	for name, reap := range map[string]bool{"reaped": true, "zombie": false} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			holder := startHolder(t, dir)
			waiter := startWaiter(t, dir, "only events")
			require.NoError(t, holder.Process.Kill())
			if reap {
				require.Error(t, holder.Wait())
			}
			require.Equal(t, "held", waiter.says())
			require.NoError(t, waiter.Wait())
			if !reap {
				require.Error(t, holder.Wait())
			}
		})
	}
}

func TestProcessPollsWithEventsOff(t *testing.T) {
	for name, free := range map[string]func(*waitProcess) error{
		"release": (*waitProcess).release,
		"kill":    func(p *waitProcess) error { return p.Process.Kill() },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			holder := startHolder(t, dir)
			waiter := startWaiter(t, dir, "events off")
			require.NoError(t, free(holder))
			require.Contains(t, waiter.says(), "switched off")
			require.Equal(t, "held", waiter.says())
			require.NoError(t, waiter.Wait())
		})
	}
}

func TestProcessPollsWithoutInotify(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o777))
	holder := startHolder(t, dir)
	cmd := reexec.Command(t, "waitWaiter", dir, "no inotify")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	if err := cmd.Start(); err != nil {
		t.Skip("no user namespaces: ", err)
	}
	waiter := &waitProcess{cmd, in, bufio.NewScanner(out)}
	first := waiter.says()
	if strings.HasPrefix(first, "skip") {
		t.Skip(first)
	}
	require.Equal(t, "waiting", first)
	require.NoError(t, holder.release())
	require.Contains(t, waiter.says(), syscall.EMFILE.Error())
	require.Equal(t, "held", waiter.says())
	require.NoError(t, waiter.Wait())
}

func TestCancelledWaitsLeaveNothing(t *testing.T) {
	descriptors := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		require.NoError(t, err)
		return len(entries)
	}
	// The runtime opens its poller when it is first needed, and keeps it.
	r, w, err := os.Pipe()
	require.NoError(t, err)
	require.NoError(t, r.Close())
	require.NoError(t, w.Close())

	dir := t.TempDir()
	startHolder(t, dir)
	l := lock.New(dir)
	cancel := context.CancelFunc(nil)
	lock.BeforePause(l, func(time.Duration) { cancel() })

	goroutines, fds := runtime.NumGoroutine(), descriptors()
	for range 10_000 {
		ctx, c := context.WithCancel(t.Context())
		cancel = c
		require.ErrorIs(t, l.LockContext(ctx), context.Canceled)
	}
	// The watcher that all waits share is kept for a moment after the last. The
	// condition is asked in a goroutine of its own.
	require.Eventually(t, func() bool {
		return runtime.NumGoroutine() <= goroutines+1 && descriptors() <= fds
	}, time.Minute, 10*time.Millisecond, "%d goroutines and %d descriptors before", goroutines, fds)
	names, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, names, 1)
}
