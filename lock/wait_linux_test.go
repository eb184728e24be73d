package lock_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dirlock/dirlock/lock"
)

func init() {
	// wait HOW: "waiting" when it is about to sleep; then "polling" and why, if it
	// has to; "held" in the end. How says what it must not depend on.
	peerCommands["wait"] = func(s *peerState, how string) string {
		log := &waitLog{}
		opts := []lock.Option{lock.WithLogger(slog.New(log))}
		switch how {
		case "without events":
			opts = append(opts, lock.WithoutEvents())
		case "without inotify":
			// The limit of this user namespace (namespaces(7)).
			if err := os.WriteFile("/proc/sys/user/max_inotify_instances", []byte("0"), 0); err != nil {
				return "skip: " + err.Error()
			}
		}
		l := s.make(s.dir, opts...)
		switch how {
		case "without a line", "without inotify":
			lock.NoLine(l)
		case "only the line":
			lock.OnlyEvents(l)
		case "only events":
			lock.OnlyEvents(l)
			lock.NoLine(l)
		}
		var said sync.Once
		lock.BeforePause(l, func(time.Duration) { said.Do(func() { fmt.Println("waiting") }) })
		if err := l.Lock(); err != nil {
			return answerOf(err)
		}
		for _, m := range log.polling() {
			fmt.Println(m)
		}
		fmt.Println("held")
		return answerOf(l.Unlock())
	}
}

// startWaiter starts a peer that waits for the lock.
func startWaiter(t *testing.T, dir, how string, change ...func(*exec.Cmd)) *peer {
	t.Helper()
	a := startPeer(t, dir, change...)
	a.send("wait " + how)
	first := a.answer()
	if strings.HasPrefix(first, "skip") {
		t.Skip(first)
	}
	require.Equal(t, "waiting", first)
	return a
}

// startHolder starts a peer that has the lock.
func startHolder(t *testing.T, dir string) *peer {
	t.Helper()
	a := startPeer(t, dir)
	a.must("try", "true")
	return a
}

// A release is an event, and so is a death, reaped or not.
func TestProcessWakes(t *testing.T) {
	for name, free := range map[string]func(*testing.T, *peer){
		"release": func(_ *testing.T, a *peer) { a.must("unlock", "ok") },
		"reaped":  func(_ *testing.T, a *peer) { a.kill() },
		"zombie":  func(t *testing.T, a *peer) { require.NoError(t, a.cmd.Process.Kill()) },
	} {
		for how, why := range map[string]string{"only the line": "", "only events": "", "without events": "switched off"} {
			t.Run(name+" "+how, func(t *testing.T) {
				dir := t.TempDir()
				holder := startHolder(t, dir)
				waiter := startWaiter(t, dir, how)
				free(t, holder)
				if why != "" {
					require.Contains(t, waiter.answer(), why)
				}
				require.Equal(t, "held", waiter.answer())
				require.Equal(t, "ok", waiter.answer())
				require.Empty(t, names(t, dir))
			})
		}
	}
}

func TestProcessPollsWithoutInotify(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o777))
	holder := startHolder(t, dir)
	waiter := startWaiter(t, dir, "without inotify", func(cmd *exec.Cmd) {
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWUSER,
			UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
		}
	})
	holder.must("unlock", "ok")
	require.Contains(t, waiter.answer(), syscall.EMFILE.Error())
	require.Equal(t, "held", waiter.answer())
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
