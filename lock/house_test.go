package lock_test

import (
	"context"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"log/slog"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dirlock/dirlock/fsys"
	"github.com/dirlock/dirlock/fsys/memfs"
	"github.com/dirlock/dirlock/lock"
)

// The protocol and the truth table rest on the two injected interfaces, and on
// nothing else.
func TestAlgorithmImports(t *testing.T) {
	for _, file := range []string{"protocol.go", "level.go", "liveness.go", "status.go", "break.go"} {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		require.NoError(t, err)
		for _, i := range f.Imports {
			path, err := strconv.Unquote(i.Path.Value)
			require.NoError(t, err)
			switch path {
			case module + "/fsys", module + "/proc":
			default:
				assert.NotContains(t, path, ".", "%s imports %s", file, path)
				assert.NotContains(t, []string{"os", "syscall", "unsafe", "net"}, path, "%s imports %s", file, path)
			}
		}
	}
}

// What was made wrongly says so, by every method.
func TestMadeWrongly(t *testing.T) {
	for want, l := range map[string]*lock.DirLock{
		"must be made by lock.New":        {},
		"lock.WithFS was given nil":       lock.New("d", lock.WithFS(nil)),
		"lock.WithProcesses was given ni": lock.New("d", lock.WithProcesses(nil)),
		"lock.WithClock was given nil":    lock.New("d", lock.WithClock(nil)),
		"lock.WithRand was given nil":     lock.New("d", lock.WithRand(nil)),
	} {
		_, try := l.TryLock()
		_, status := l.Status()
		for _, err := range []error{try, status, l.Lock(), l.Break(t.Context(), someOwner.ID), l.ForceBreak(t.Context(), someOwner.ID)} {
			require.ErrorContains(t, err, want)
		}
		require.ErrorIs(t, l.Unlock(), lock.ErrNotHeld)
		require.ErrorIs(t, l.Check(), lock.ErrNotHeld)
		require.Panics(t, func() { l.Must().Lock() })
		_, held := l.Owner()
		require.False(t, held)
		require.NotEmpty(t, l.String())
	}
	err := lock.New("").Lock()
	require.EqualError(t, err, `lock "": the name of the directory is empty: file does not exist`)
	require.ErrorIs(t, err, fs.ErrNotExist)
}

// A handle shows the directory, and none of what is inside of it.
func TestHandleIsShown(t *testing.T) {
	w := newWorld()
	l, _ := w.handle()
	mustTry(t, l, true)
	for _, verb := range []string{"%v", "%s", "%+v"} {
		require.Equal(t, "lock of "+dirPath, fmt.Sprintf(verb, l))
	}
	require.Equal(t, fmt.Sprintf("lock.New(%q)", dirPath), fmt.Sprintf("%#v", l))
	require.Equal(t, dirPath, slog.AnyValue(l).Resolve().String())
}

// calling is a handler that does something with each record.
type calling struct{ f func(msg string) }

func (calling) Enabled(context.Context, slog.Level) bool { return true }
func (c calling) WithAttrs([]slog.Attr) slog.Handler     { return c }
func (c calling) WithGroup(string) slog.Handler          { return c }
func (c calling) Handle(_ context.Context, r slog.Record) error {
	c.f(r.Message)
	return nil
}

// A handler may use the lock that it is told of.
func TestLoggerUsesTheLock(t *testing.T) {
	w := newWorld()
	w.set("ss")
	var l *lock.DirLock
	seen := map[string]bool{}
	l, _ = w.handle(lock.WithLogger(slog.New(calling{func(msg string) {
		seen[msg] = true
		_, held := l.Owner()
		assert.Equal(t, msg == "acquired" || msg == "recovered", held, msg)
		_, err := l.Status()
		assert.NoError(t, err)
		_ = l.Check()
	}})))
	mustTry(t, l, true)
	require.NoError(t, l.Unlock())
	mustTry(t, l, true)
	w.rm("L0")
	require.ErrorIs(t, l.Unlock(), lock.ErrLost)
	require.Equal(t, map[string]bool{"recovered": true, "acquired": true, "released": true, "lost": true}, seen)
}

// If a handler panics, nobody has learned that the lock is held: it is not.
func TestLoggerPanics(t *testing.T) {
	for _, msg := range []string{"recovered", "acquired", "released"} {
		w := newWorld()
		w.set("s")
		l, _ := w.handle(lock.WithLogger(slog.New(calling{func(m string) {
			if m == msg {
				panic("logger")
			}
		}})))
		require.PanicsWithValue(t, "logger", func() {
			_, _ = l.TryLock()
			_ = l.Unlock()
		})
		require.Empty(t, w.names(), msg)
		require.ErrorIs(t, l.Unlock(), lock.ErrNotHeld)
		other, _ := w.handle()
		mustTry(t, other, true)
	}
}

// Nothing lists the directory where it can be opened: neither permission to do
// that nor what else is there matters.
func TestNothingIsListed(t *testing.T) {
	w := newWorld()
	w.before = func(op memfs.Op) error {
		if op.Name == "list" {
			return errors.New("listed")
		}
		return nil
	}
	for _, levels := range []string{"-", "h", "s", "ss", "s-s", "sh"} {
		w.set("----")
		w.set(levels)
		l, _ := w.handle()
		s, err := l.Status()
		require.NoError(t, err)
		state, _ := s.State()
		ok, err := l.TryLock()
		require.NoError(t, err)
		require.Equal(t, ok, state == lock.Free || state == lock.Stale, "%s: %v", levels, state)
		if ok {
			require.NoError(t, l.Unlock())
		}
	}
}

// Status and TryLock agree about what is in the way.
func TestStateIsThatOfTryLock(t *testing.T) {
	for _, kind := range [][]memfs.Option{{}, {memfs.Witness(fsys.Held)}, {memfs.NoIDs()}, {memfs.Network()}} {
		for _, levels := range stacks("-hstf", 2) {
			w := newWorld(kind...)
			w.set(levels)
			l, _ := w.handle()
			s, err := l.Status()
			require.NoError(t, err)
			state, level := s.State()
			ok, err := l.TryLock()
			var r *lock.RecordError
			switch {
			case errors.As(err, &r):
				require.Equal(t, lock.Unreadable, state, levels)
				require.Equal(t, r.Path, level.Path, levels)
			case ok:
				require.Contains(t, []lock.State{lock.Free, lock.Stale}, state, levels)
			default:
				require.NoError(t, err)
				require.Equal(t, lock.Held, state, levels)
			}
		}
	}
}

// sweeping is a directory with temporary files.
type sweeping struct {
	fsys.OpenDir
	swept *int
	part  *int
	err   error
}

func (d sweeping) Open() (fsys.OpenDir, error) { return d, nil }
func (d sweeping) Close() error                { return nil }
func (d sweeping) Unwrap() fsys.Dir            { return d.OpenDir }
func (d sweeping) Sweep() error                { *d.swept++; return d.err }
func (d sweeping) SweepPart(int) error         { *d.part++; return nil }

type sweepingFS struct{ dir sweeping }

func (f sweepingFS) Dir(string) (fsys.Dir, error) { return f.dir, nil }

// Temporary files of the dead are looked for when nobody waits for it: after a
// recovery all are, and some at the first Unlock of a handle.
func TestSweepsAfterUnlock(t *testing.T) {
	w := newWorld()
	named, err := w.Dir(dirPath)
	require.NoError(t, err)
	open, err := fsys.Open(named)
	require.NoError(t, err)
	swept, part := 0, 0
	var logged []string
	l := lock.New("d", lock.WithFS(sweepingFS{sweeping{open, &swept, &part, errInjected}}), lock.WithProcesses(w.procs.Start("tester")),
		lock.WithLogger(slog.New(calling{func(msg string) { logged = append(logged, msg) }})))
	for range 2 {
		mustTry(t, l, true)
		require.NoError(t, l.Unlock())
		require.Zero(t, swept)
		require.Equal(t, 1, part)
	}
	w.set("s")
	mustTry(t, l, true)
	require.Zero(t, swept)
	logged = nil
	require.NoError(t, l.Unlock())
	require.Equal(t, 1, swept)
	require.Equal(t, []string{"files of dead owners were left", "released"}, logged)
}
