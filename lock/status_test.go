package lock_test

import (
	"bytes"
	"context"
	"io/fs"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dirlock/dirlock/fsys"
	"github.com/dirlock/dirlock/fsys/memfs"
	"github.com/dirlock/dirlock/lock"
	"github.com/dirlock/dirlock/proc"
	"github.com/dirlock/dirlock/proc/proctest"
)

// Status names what there is, and touches nothing.
func TestStatusLevels(t *testing.T) {
	w := newWorld()
	w.set("hstf")
	w.Special(at("L4"), fs.ModeNamedPipe)
	w.put("L12", w.record(w.dead))
	for _, name := range []string{"L", "L01", "L+1", "L1x", "LICENSE", "L-1"} {
		w.put(name, "x")
	}
	before := w.files()
	l, _ := w.handle()
	s, err := l.Status()
	require.NoError(t, err)
	require.Equal(t, before, w.files())
	require.Equal(t, dirPath, s.Dir)
	require.Len(t, s.Levels, 6)
	for i, want := range []struct {
		n       int
		path    string
		command string
		state   proc.State
		err     error
	}{
		{0, at("L0"), "live", proc.Alive, nil},
		{1, at("L1"), "dead", proc.Dead, nil},
		{2, at("L2"), "", proc.Dead, nil},
		{3, at("L3"), "", proc.Unknown, lock.ErrNotRecord},
		{4, at("L4"), "", proc.Unknown, fsys.ErrNotRegular},
		{12, at("L12"), "dead", proc.Dead, nil},
	} {
		lv := s.Levels[i]
		require.Equal(t, want.n, lv.N)
		require.Equal(t, want.path, lv.Path)
		require.Equal(t, want.command, lv.Owner.Command)
		require.Equal(t, want.state.String(), lv.State.String())
		require.NotEmpty(t, lv.Reason)
		require.ErrorIs(t, lv.Err, want.err)
		if want.err != nil {
			require.Contains(t, lv.Reason, want.path)
		}
	}
	lv, ok := s.Owner()
	require.True(t, ok)
	require.Equal(t, s.Levels[0], lv)

	w.before = failing("open")
	_, err = l.Status()
	wantError(t, err, "status", dirPath, errInjected)
}

// Our own lock is seen as anybody else's, and as what Owner says.
func TestStatusOwn(t *testing.T) {
	w := newWorld()
	l, _ := w.handle(lock.WithClock(func() time.Time {
		return time.Date(2026, 2, 3, 4, 5, 6, 7, time.FixedZone("", 3600))
	}))
	mustTry(t, l, true)
	s, err := l.Status()
	require.NoError(t, err)
	lv, ok := s.Owner()
	require.True(t, ok)
	o, held := l.Owner()
	require.True(t, held)
	require.Equal(t, o, lv.Owner)
	require.Equal(t, time.Date(2026, 2, 3, 3, 5, 6, 7, time.UTC), o.Since)
	require.Equal(t, "alive", lv.State.String())
}

func TestBreakBadID(t *testing.T) {
	w := newWorld()
	w.set("t") // whose owner has the empty ID
	before := w.files()
	l, _ := w.handle()
	for _, id := range []string{"", "0", "L", "L00", "L-1", "l0", "L0.dead", "0B7FD5F3A0F14D5B8F3D4C1E2A697B10", "../../etc/passwd"} {
		err := l.ForceBreak(t.Context(), id)
		require.Error(t, err)
		require.Contains(t, err.Error(), "is not the ID of an owner")
	}
	require.Empty(t, w.ops)
	require.Equal(t, before, w.files())
}

// Break gives up when its context is done, or was before.
func TestBreakIsCancelled(t *testing.T) {
	w := newWorld(memfs.Network())
	w.put("L0", w.record(w.procs.Machine("host2").Start("abroad")))
	o, err := lock.ParseRecord([]byte(w.data("L0")))
	require.NoError(t, err)
	before := w.files()
	l, _ := w.handle()
	ctx, cancel := context.WithCancel(t.Context())
	w.before = func(op memfs.Op) error {
		if op.Name == "create" { // somebody recovers, and does not end
			w.before = nil
			w.put("L1", w.record(w.live))
		}
		return nil
	}
	w.paused = cancel
	for range 2 {
		wantError(t, l.Break(ctx, o.ID), "break", dirPath, context.Canceled)
	}
	var none context.Context
	require.ErrorContains(t, l.Break(none, o.ID), "nil context")
	w.rm("L1")
	require.Equal(t, before, w.files())
}

// An owner that turns out to live, after Break has begun, is not broken.
func TestBreakFindsLife(t *testing.T) {
	disk, procs := memfs.New(dirPath), proctest.NewFake()
	handle := func(p *proctest.FakeProcess) *lock.DirLock {
		return lock.New(dirPath, lock.WithFS(disk.As(p)), lock.WithProcesses(p))
	}
	owner := handle(procs.Container().Start("owner"))
	mustTry(t, owner, true)
	o, _ := owner.Owner()
	before := disk.Entries(dirPath)

	asked := 0
	disk.Before(func(op memfs.Op) error {
		if op.Name != "witness" {
			return nil
		}
		if asked++; asked == 1 {
			return errInjected // then nobody knows
		}
		return nil
	})
	err := handle(procs.Start("breaker")).Break(t.Context(), o.ID)
	wantError(t, err, "break", dirPath, lock.ErrOtherOwner)
	require.Greater(t, asked, 1)
	require.Equal(t, before, disk.Entries(dirPath))
	require.NoError(t, owner.Unlock())
}

// The events that a logger gets.
func TestLog(t *testing.T) {
	w := newWorld()
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{
		Level: slog.LevelDebug,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == "owner" {
				return slog.Attr{}
			}
			return a
		},
	}))
	l, _ := w.handle(lock.WithLogger(log))
	logged := func(want string) {
		t.Helper()
		// Windows has other separators, which are quoted once or twice.
		require.Equal(t, want, strings.NewReplacer(`\\`, "/", `\`, "/").Replace(out.String()))
		out.Reset()
	}

	mustTry(t, l, true)
	logged("level=DEBUG msg=acquired dir=/dir\n")
	require.NoError(t, l.Unlock())
	logged("level=DEBUG msg=released dir=/dir\n")

	w.set("ss")
	mustTry(t, l, true)
	logged("level=WARN msg=recovered dir=/dir level=2 from=\"dead (process 2) on host1\" reason=\"no process has this PID\"\n" +
		"level=DEBUG msg=acquired dir=/dir\n")
	w.rm("L0")
	require.Error(t, l.Unlock())
	logged("level=ERROR msg=lost dir=/dir\n")

	w.set("s")
	w.before = failing("read L1") // by the sweep
	mustTry(t, l, true)
	logged("level=WARN msg=recovered dir=/dir level=1 from=\"dead (process 2) on host1\" reason=\"no process has this PID\"\n" +
		"level=WARN msg=\"files of dead owners were left\" dir=/dir err=\"read /dir/L1: injected\"\n" +
		"level=DEBUG msg=acquired dir=/dir\n")
	w.before = nil
	require.NoError(t, l.Unlock())
	out.Reset()

	// Contention is no event.
	w.set("h")
	mustTry(t, l, false)
	logged("")
}
