package lock_test

import (
	"bytes"
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dirlock/dirlock/fsys"
	"github.com/dirlock/dirlock/internal/testutil/step"
	"github.com/dirlock/dirlock/lock"
	"github.com/dirlock/dirlock/proc"
	"github.com/dirlock/dirlock/proc/proctest"
)

func TestStatusFree(t *testing.T) {
	w := newWorld()
	l, _ := w.handle()
	s, err := l.Status()
	require.NoError(t, err)
	require.Equal(t, lock.Status{Dir: "/mem"}, s)
	_, ok := s.Owner()
	require.False(t, ok)
	require.Equal(t, "list, read L0, read L1, read L2, read L3, read L4, read L5, read L6, read L7", strings.Join(w.ops, ", "))

	// Levels without L0 are of no owner.
	w.set("-s")
	s, err = l.Status()
	require.NoError(t, err)
	require.Len(t, s.Levels, 1)
	_, ok = s.Owner()
	require.False(t, ok)
}

// Status names what there is, and touches nothing.
func TestStatusLevels(t *testing.T) {
	w := newWorld()
	w.set("hstf")
	w.putSpecial("L4")
	w.put("L12", w.record(w.dead))
	for _, name := range []string{"L", "L01", "L+1", "L1x", "LICENSE", "L-1"} {
		w.put(name, "x")
	}
	before := w.snapshot()
	l, _ := w.handle()
	s, err := l.Status()
	require.NoError(t, err)
	require.Equal(t, before, w.snapshot())

	require.Len(t, s.Levels, 6)
	for i, want := range []struct {
		n       int
		path    string
		command string
		state   proc.State
		err     error
	}{
		{0, filepath.FromSlash("/mem/L0"), "live", proc.Alive, nil},
		{1, filepath.FromSlash("/mem/L1"), "dead", proc.Dead, nil},
		{2, filepath.FromSlash("/mem/L2"), "", proc.Dead, nil},
		{3, filepath.FromSlash("/mem/L3"), "", proc.Unknown, lock.ErrNotRecord},
		{4, filepath.FromSlash("/mem/L4"), "", proc.Unknown, fsys.ErrNotRegular},
		{12, filepath.FromSlash("/mem/L12"), "dead", proc.Dead, nil},
	} {
		lv := s.Levels[i]
		require.Equal(t, want.n, lv.N)
		require.Equal(t, want.path, lv.Path)
		require.Equal(t, want.command, lv.Owner.Command)
		require.Equal(t, want.state, lv.State)
		require.NotEmpty(t, lv.Reason)
		require.ErrorIs(t, lv.Err, want.err)
		if want.err != nil {
			require.Contains(t, lv.Reason, want.path)
		}
	}
	lv, ok := s.Owner()
	require.True(t, ok)
	require.Equal(t, s.Levels[0], lv)
}

// A file that goes between the listing and the look is left out; one that cannot
// be read is reported.
func TestStatusChanges(t *testing.T) {
	w := newWorld()
	w.set("hsh")
	l, _ := w.handle()
	w.before = func(op step.Op) error {
		switch op.String() {
		case "read L1":
			w.rm("L1")
		case "read L2":
			return errInjected
		}
		return nil
	}
	s, err := l.Status()
	require.NoError(t, err)
	require.Len(t, s.Levels, 2)
	require.Equal(t, 2, s.Levels[1].N)
	require.ErrorIs(t, s.Levels[1].Err, errInjected)
	require.Equal(t, proc.Unknown, s.Levels[1].State)

	w.before = func(op step.Op) error { return errInjected }
	_, err = l.Status()
	wantError(t, err, "status", "/mem", errInjected)
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
	require.Equal(t, proc.Alive, lv.State)
}

// breakWorld has an owner whom nobody knows to be dead: one of another machine.
func breakWorld() (w *world, abroad *proctest.FakeProcess) {
	w = newWorld()
	w.remote = true
	abroad = w.procs.Machine("host2").Start("abroad")
	return w, abroad
}

func idOf(t *testing.T, w *world, name string) string {
	t.Helper()
	o, err := lock.ParseRecord(w.files[name].data)
	require.NoError(t, err)
	return o.ID
}

func TestBreak(t *testing.T) {
	w, abroad := breakWorld()
	w.put("L0", w.record(abroad))
	l, _ := w.handle()
	mustTry(t, l, false)
	require.NoError(t, l.Break(t.Context(), idOf(t, w, "L0")))
	require.Empty(t, w.names())
	_, held := l.Owner()
	require.False(t, held)
	mustTry(t, l, true)
}

// The one to be broken died, or hangs, in the middle of a recovery.
func TestBreakLevel(t *testing.T) {
	for _, levels := range []string{"s", "t"} {
		w, abroad := breakWorld()
		w.remote = false
		w.set(levels)
		w.put("L1", w.record(w.procs.Container().Start("contained"))) // alive or not: nobody knows
		w.put("L2", w.record(abroad))                                 // dead: another boot, and local
		l, _ := w.handle()
		mustTry(t, l, false)
		require.NoError(t, l.Break(t.Context(), idOf(t, w, "L1")))
		require.Empty(t, w.names())
	}
}

// A machine was lost while one of its processes held the lock and another one
// recovered it. Neither can be broken without the other.
func TestBreakSeveral(t *testing.T) {
	w, abroad := breakWorld()
	w.put("L0", w.record(abroad))
	w.put("L1", w.record(abroad))
	l, _ := w.handle()
	l0, l1 := idOf(t, w, "L0"), idOf(t, w, "L1")
	for _, id := range []string{l0, l1} {
		wantError(t, l.Break(t.Context(), id), "break", "/mem", lock.ErrOtherOwner)
		require.Equal(t, []string{"L0", "L1"}, w.names())
	}
	wantError(t, l.Break(t.Context()), "break", "/mem", lock.ErrOtherOwner)
	require.NoError(t, l.Break(t.Context(), l1, l0))
	require.Empty(t, w.names())
}

// The directory is free, but the next recovery would find him in the way.
func TestBreakLevelOfFreeDirectory(t *testing.T) {
	w, abroad := breakWorld()
	w.put("L1", w.record(abroad))
	w.put("L2", w.record(w.dead))
	l, _ := w.handle()
	require.NoError(t, l.Break(t.Context(), idOf(t, w, "L1")))
	require.Empty(t, w.names())
}

// It does not matter whether the handle holds the lock, or did.
func TestBreakByHolder(t *testing.T) {
	w, abroad := breakWorld()
	l, _ := w.handle()
	mustTry(t, l, true)
	id := idOf(t, w, "L0")
	wantError(t, l.Break(t.Context(), id), "break", "/mem", lock.ErrAlive)
	require.NoError(t, l.Check())
	require.NoError(t, l.ForceBreak(t.Context(), id))
	require.Empty(t, w.names())
	w.put("L0", w.record(abroad))
	require.NoError(t, l.Break(t.Context(), idOf(t, w, "L0")))
	require.Empty(t, w.names())
	wantError(t, l.Unlock(), "unlock", "/mem", lock.ErrLost)
	mustTry(t, l, true)
}

func TestBreakAlive(t *testing.T) {
	w := newWorld()
	owner, _ := w.handle()
	mustTry(t, owner, true)
	id := idOf(t, w, "L0")
	l, _ := w.handle()
	err := l.Break(t.Context(), id)
	wantError(t, err, "break", "/mem", lock.ErrAlive)
	require.NoError(t, owner.Check())

	require.NoError(t, l.ForceBreak(t.Context(), id))
	require.Empty(t, w.names())
	require.ErrorIs(t, owner.Check(), lock.ErrLost)
	require.ErrorIs(t, owner.Unlock(), lock.ErrLost)
}

// Nobody but the one who is named is broken.
func TestBreakOther(t *testing.T) {
	tests := map[string]func(w *world, abroad *proctest.FakeProcess){
		"free":                  func(w *world, _ *proctest.FakeProcess) {},
		"another owner":         func(w *world, _ *proctest.FakeProcess) { w.set("h") },
		"another unknown owner": func(w *world, abroad *proctest.FakeProcess) { w.put("L0", w.record(abroad)) },
		"foreign":               func(w *world, _ *proctest.FakeProcess) { w.set("f") },
	}
	for name, prepare := range tests {
		for _, force := range []bool{false, true} {
			w, abroad := breakWorld()
			prepare(w, abroad)
			before := w.snapshot()
			l, _ := w.handle()
			breaks := l.Break
			if force {
				breaks = l.ForceBreak
			}
			err := breaks(t.Context(), someOwner.ID)
			wantError(t, err, "break", "/mem", lock.ErrOtherOwner)
			require.Equal(t, before, w.snapshot(), name)
		}
	}

	// He is in the way at L1, and another owner, at L0, as well.
	w, abroad := breakWorld()
	w.set("h")
	w.put("L1", w.record(abroad))
	before := w.snapshot()
	l, _ := w.handle()
	wantError(t, l.ForceBreak(t.Context(), idOf(t, w, "L1")), "break", "/mem", lock.ErrOtherOwner)
	require.Equal(t, before, w.snapshot())
}

// Between the question and the deed the lock changes hands.
func TestBreakTooLate(t *testing.T) {
	w, abroad := breakWorld()
	w.put("L0", w.record(abroad))
	id := idOf(t, w, "L0")
	l, _ := w.handle()
	looks := 0
	w.before = func(op step.Op) error {
		if op.String() == "read L0" {
			if looks++; looks == 2 {
				w.set("h")
			}
		}
		return nil
	}
	wantError(t, l.ForceBreak(t.Context(), id), "break", "/mem", lock.ErrOtherOwner)
	require.Equal(t, []string{"L0"}, w.names())
	s, err := l.Status()
	require.NoError(t, err)
	require.Equal(t, "live", s.Levels[0].Owner.Command)

	// Or nobody holds it any more.
	w.set("-")
	w.put("L0", w.record(abroad))
	id = idOf(t, w, "L0")
	looks = 0
	w.before = func(op step.Op) error {
		if op.String() == "read L0" {
			if looks++; looks == 2 {
				w.rm("L0")
			}
		}
		return nil
	}
	wantError(t, l.ForceBreak(t.Context(), id), "break", "/mem", lock.ErrOtherOwner)
	require.Empty(t, w.names())
}

func TestBreakBadID(t *testing.T) {
	w := newWorld()
	w.set("t") // whose owner has the empty ID
	before := w.snapshot()
	l, _ := w.handle()
	for _, id := range []string{"", "0", "L0", "0B7FD5F3A0F14D5B8F3D4C1E2A697B10", "../../etc/passwd"} {
		err := l.ForceBreak(t.Context(), id)
		require.Error(t, err)
		require.Contains(t, err.Error(), "is not the ID of an owner")
	}
	require.Empty(t, w.ops)
	require.Equal(t, before, w.snapshot())
}

func TestBreakFails(t *testing.T) {
	w, abroad := breakWorld()
	w.put("L0", w.record(abroad))
	id := idOf(t, w, "L0")
	before := w.snapshot()
	l, _ := w.handle()
	w.before = func(op step.Op) error {
		if op.Name == "replace" {
			return errInjected
		}
		return nil
	}
	wantError(t, l.Break(t.Context(), id), "break", "/mem", errInjected)
	require.Equal(t, before, w.snapshot())
	w.before = func(op step.Op) error { return errInjected }
	wantError(t, l.Break(t.Context(), id), "break", "/mem", errInjected)

	// Somebody recovers, and does not end; our time does.
	w.before = nil
	w.put("L1", w.record(w.live))
	ctx, cancel := context.WithCancel(t.Context())
	w.paused = cancel
	wantError(t, l.Break(ctx, id), "break", "/mem", context.Canceled)

	// It was over before.
	w.set("--")
	w.put("L0", w.record(abroad))
	id = idOf(t, w, "L0")
	before = w.snapshot()
	wantError(t, l.Break(ctx, id), "break", "/mem", context.Canceled)
	var none context.Context
	require.ErrorContains(t, l.Break(none, id), "nil context")
	require.Equal(t, before, w.snapshot())
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
		require.Equal(t, want, out.String())
		out.Reset()
	}

	mustTry(t, l, true)
	logged("level=DEBUG msg=acquired dir=/mem\n")
	require.NoError(t, l.Unlock())
	logged("level=DEBUG msg=released dir=/mem\n")

	w.set("ss")
	mustTry(t, l, true)
	logged("level=WARN msg=recovered dir=/mem level=2 from=\"dead (process 2) on host1\" reason=\"no process has this PID\"\n" +
		"level=DEBUG msg=acquired dir=/mem\n")
	w.rm("L0")
	require.Error(t, l.Unlock())
	logged("level=ERROR msg=lost dir=/mem\n")

	w.set("s")
	w.before = func(op step.Op) error {
		if op.Name == "sweep" {
			return errInjected
		}
		return nil
	}
	mustTry(t, l, true)
	logged("level=WARN msg=recovered dir=/mem level=1 from=\"dead (process 2) on host1\" reason=\"no process has this PID\"\n" +
		"level=WARN msg=\"files of dead owners were left\" dir=/mem err=\"sweep /mem: injected\"\n" +
		"level=DEBUG msg=acquired dir=/mem\n")
	w.before = nil
	require.NoError(t, l.Unlock())
	out.Reset()

	// Contention is no event.
	w.set("h")
	mustTry(t, l, false)
	logged("")
}
