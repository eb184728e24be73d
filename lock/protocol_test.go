package lock_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dirlock/dirlock/fsys"
	"github.com/dirlock/dirlock/fsys/memfs"
	"github.com/dirlock/dirlock/lock"
	"github.com/dirlock/dirlock/proc"
)

// prediction is what must come of TryLock in a situation in which nobody else
// does anything. It is written from docs/protocol.md, not from the code.
type prediction struct {
	acquired bool
	unjudged int    // the level of the file that the error names, or -1
	after    string // the situation then, our L0 left out
}

func predict(levels string, remote, noIDs bool) prediction {
	at := func(i int) byte {
		if i >= len(levels) {
			return free
		}
		return levels[i]
	}
	// A torn record is a dead owner's only where no other machine writes, and
	// where the file can be told from another torn one.
	isDead := func(c byte) bool { return c == stale || c == torn && !remote && !noIDs }

	p := prediction{unjudged: -1, after: levels}
	switch c := at(0); {
	case c == free:
		p.acquired = true
		return p
	case c == foreign:
		p.unjudged = 0
		return p
	case !isDead(c):
		return p
	}
	for i := 1; ; i++ {
		c := at(i)
		switch {
		case c == free:
			p.acquired = true
			after := []byte(levels)
			after[0] = free
			for j := range after {
				if j > 0 && isDead(after[j]) {
					after[j] = free
				}
			}
			p.after = string(after)
			return p
		case c == foreign:
			p.unjudged = i
			return p
		case !isDead(c):
			return p
		}
	}
}

// Every situation of the first levels, on every kind of directory.
func TestSituations(t *testing.T) {
	kinds := map[string]struct {
		levels        int
		disk          memfs.Option
		remote, noIDs bool
	}{
		"local":               {levels: 6, disk: memfs.Witness(fsys.NoWitness)},
		"witness":             {levels: 4, disk: memfs.Witness(fsys.Held)},
		"remote":              {levels: 4, disk: memfs.Network(), remote: true},
		"without file ID":     {levels: 4, disk: memfs.NoIDs(), noIDs: true},
		"without replacement": {levels: 4, disk: memfs.NoReplace()},
	}
	const states = "-hstf"
	for name, kind := range kinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			total := 1
			for range kind.levels {
				total *= len(states)
			}
			for n := range total {
				levels := make([]byte, kind.levels)
				for i := range levels {
					levels[i] = states[n%len(states)]
					n /= len(states)
				}
				w := newWorld(kind.disk)
				want := predict(string(levels), kind.remote, kind.noIDs)
				if err := w.checkSituation(string(levels), want); err != nil {
					t.Fatalf("%s: %v", levels, err)
				}
			}
		})
	}
}

func (w *world) checkSituation(levels string, want prediction) error {
	w.set(levels)
	before := w.files()
	l, _ := w.handle()

	ok, err := l.TryLock()
	var r *lock.RecordError
	switch path := at(fmt.Sprint("L", want.unjudged)); {
	case ok != want.acquired:
		return fmt.Errorf("TryLock says %v, %w", ok, err)
	case want.unjudged < 0 && err != nil:
		return err
	case want.unjudged >= 0 && (!errors.As(err, &r) || r.Path != path):
		return fmt.Errorf("the error does not name %s: %w", path, err)
	}
	expected := map[string]memfs.Entry{}
	for i, c := range want.after {
		if name := fmt.Sprintf("L%d", i); c != free {
			expected[name] = before[name]
		}
	}
	wantErr := lock.ErrNotHeld
	if ok {
		o, err := lock.ParseRecord([]byte(w.data("L0")))
		if mine, held := l.Owner(); err != nil || !held || o != mine {
			return fmt.Errorf("L0 is not ours: %w", err)
		}
		wantErr = nil
	}
	for _, when := range []string{"TryLock", "Unlock"} {
		after := w.files()
		if ok && when == "TryLock" {
			delete(after, "L0")
		}
		if !maps.Equal(after, expected) {
			return fmt.Errorf("%s left %v, not %v", when, after, expected)
		}
		if when == "TryLock" {
			if err := l.Unlock(); !errors.Is(err, wantErr) {
				return fmt.Errorf("Unlock: %w", err)
			}
		}
	}
	if u := w.Usage(); u != (memfs.Usage{}) {
		return fmt.Errorf("left open: %+v", u)
	}
	return nil
}

// The counterexample of docs/protocol.md: B removes L1 and dies between D's
// look at L1 and D's question whether B is alive. Without the second read D
// climbs to L2, and E to the free L1, and both replace L0.
func TestSecondRead(t *testing.T) {
	w := newWorld()
	w.set("s")
	b := w.procs.Start("b")
	w.put("L1", w.record(b))
	d, _ := w.handle()
	e, _ := w.handle()

	w.probed = func(id proc.Identity) {
		if id.PID == b.PID() {
			w.rm("L1")
			b.Kill()
		}
	}
	var okE bool
	w.before = func(op memfs.Op) error {
		if op.Name == "replace" {
			var err error
			okE, err = e.TryLock()
			require.NoError(t, err)
		}
		return nil
	}
	okD, err := d.TryLock()
	require.NoError(t, err)
	require.True(t, okD)
	require.False(t, okE, "two owners")
	require.NoError(t, d.Check())
}

// Between D's first and last look at L0, E recovers the directory and unlocks,
// and F, who is alive, has it. Without the last look D replaces F's record.
func TestLastLook(t *testing.T) {
	for _, levels := range []string{"s", "t", "ss", "stst"} {
		w := newWorld(memfs.Witness(fsys.Held))
		w.set(levels)
		d, _ := w.handle()
		e, _ := w.handle()
		f, _ := w.handle()
		w.before = ahead(fmt.Sprintf("create L%d", len(levels)), 1, func() {
			mustTry(t, e, true)
			require.NoError(t, e.Unlock())
			mustTry(t, f, true)
		})
		mustTry(t, d, false)
		require.NoError(t, f.Check())
		require.Equal(t, []string{"L0"}, w.names())
	}
}

// Levels have no limit: many processes die just before they replace L0, each
// leaving one level more, or after that, before they sweep, so that files stay
// above the levels that the next one climbs to.
func TestManyCrashes(t *testing.T) {
	for _, crash := range []string{"replace", "sweep"} {
		w := newWorld()
		w.set("sssss")
		for range 25 {
			l, p := w.handle()
			replaced := false
			w.before = func(op memfs.Op) error {
				if op.Name == crash || replaced {
					panic("crash")
				}
				replaced = op.Name == "replace"
				return nil
			}
			require.PanicsWithValue(t, "crash", func() { _, _ = l.TryLock() })
			p.Kill()
			w.inside = false
		}
		require.GreaterOrEqual(t, len(w.names()), 5)
		w.before = nil
		l, _ := w.handle()
		mustTry(t, l, true)
		require.Equal(t, []string{"L0"}, w.names(), crash)
		require.NoError(t, l.Unlock())
		require.Empty(t, w.names(), crash)
	}
}

// failAt tries the lock while the n-th operation fails, and says which one that
// was, and whether it was after the replacement of L0.
func (w *world) failAt(l *lock.DirLock, n int, before func(memfs.Op)) (ok bool, failed memfs.Op, replaced bool, err error) {
	w.before = func(op memfs.Op) error {
		if before != nil {
			before(op)
		}
		if n--; n == 0 {
			failed = op
			return errInjected
		}
		replaced = replaced || n > 0 && op.Name == "replace"
		return nil
	}
	ok, err = l.TryLock()
	w.before = nil
	return ok, failed, replaced, err
}

// An error at any operation of any path means not acquired, and leaves nothing
// of ours, neither in the directory nor open; only the sweep, which comes after
// the acquisition, may fail.
func TestFailures(t *testing.T) {
	for _, levels := range []string{"-", "h", "s", "t", "ss", "st", "ssss", "s-s", "sh", "ssh"} {
		for _, lost := range []bool{false, true} {
			for n := 1; checkFailure(t, levels, lost, n); n++ {
				require.Less(t, n, 100)
			}
		}
	}
}

// checkFailure has the n-th operation fail, and returns false if there are not so
// many. If lost is true, somebody else has L0 before the last look.
func checkFailure(t *testing.T, levels string, lost bool, n int) bool {
	w := newWorld()
	w.set(levels)
	want := w.files()
	l, _ := w.handle()
	lock.SetMaxAttempts(l, 2)
	looks := 0
	ok, failed, replaced, err := w.failAt(l, n, func(op memfs.Op) {
		if op.String() != "read L0" {
			return
		}
		if looks++; lost && looks == 2 {
			w.set("h")
			want["L0"] = w.files()["L0"]
		}
	})
	where := fmt.Sprintf("start %s, lost %v: %v fails, operation %d of %v", levels, lost, failed, n, w.ops)
	switch {
	case failed.Name == "":
		require.NoError(t, err)
		return false
	case failed.Name == "locate" && err == nil:
		// Of an owner: it counts as one of a directory that others can reach.
	case replaced:
		// Owned by then. What could not be swept stays for the next.
		require.NoError(t, err, where)
		require.True(t, ok, where)
		require.NoError(t, l.Check(), where)
	case slices.Contains([]string{"close", "intact", "remove"}, failed.Name):
		// Stepping back is tried again.
		require.NoError(t, err, where)
		require.False(t, ok, where)
	default:
		require.ErrorIs(t, err, errInjected, where)
		wantError(t, err, "lock", dirPath, errInjected)
		require.False(t, ok, where)
		require.ErrorIs(t, l.Unlock(), lock.ErrNotHeld, where)
	}
	if ok {
		require.NoError(t, l.Unlock(), where)
		require.NotContains(t, w.names(), "L0", where)
	} else {
		require.Equal(t, want, w.files(), where)
	}
	require.Zero(t, w.Usage(), where)
	return true
}

// What merely looks like a level is nobody's business.
func TestSweepOnlyLevels(t *testing.T) {
	w := newWorld()
	w.set("s")
	others := []string{"L", "L01", "L-1", "L+1", "L1x", "Lx", "L 1", "LICENSE", "L9223372036854775808", "M1", "l1"}
	for _, name := range others {
		w.put(name, w.record(w.dead))
	}
	l, _ := w.handle()
	mustTry(t, l, true)
	require.Subset(t, w.names(), others)
	require.Len(t, w.names(), len(others)+1)
}

// A recovery that stands still: others try a bounded number of times, and the
// answer is false.
func TestBounded(t *testing.T) {
	w := newWorld()
	w.set("sh")
	l, _ := w.handle()
	mustTry(t, l, false)
	creates := 0
	for _, op := range w.ops {
		if op == "create L1" {
			creates++
		}
	}
	require.Equal(t, lock.MaxAttempts, creates)
	require.Len(t, w.pauses, lock.MaxAttempts-1)
	var sum time.Duration
	for i, d := range w.pauses {
		longest := 200 * time.Microsecond << i
		require.LessOrEqual(t, d, longest)
		require.GreaterOrEqual(t, d, longest/2)
		sum += d
	}
	require.LessOrEqual(t, sum, 26*time.Millisecond)
}

// The same when the directory changes under every attempt.
func TestBoundedChanges(t *testing.T) {
	for _, op := range []string{"read L0", "read L1"} {
		w := newWorld()
		w.set("ss")
		n := 0
		w.before = func(o memfs.Op) error {
			if o.String() == op {
				if n++; n%2 == 0 {
					w.set("ss")
				}
			}
			return nil
		}
		l, _ := w.handle()
		mustTry(t, l, false)
		require.Len(t, w.pauses, lock.MaxAttempts-1)
		require.Equal(t, []string{"L0", "L1"}, w.names())
	}
}

// Two handles of one process exclude each other: neither takes the other's
// record for its own, nor for a dead one's.
func TestOwnRecord(t *testing.T) {
	w := newWorld()
	a, p := w.handle()
	b := w.handleOf(p)
	mustTry(t, a, true)
	mustTry(t, b, false)
	mustTry(t, a, false)
	require.ErrorIs(t, b.Unlock(), lock.ErrNotHeld)
	require.NoError(t, a.Check())
	require.NoError(t, a.Unlock())

	// In the middle of a's recovery, too.
	w.set("ss")
	w.before = ahead("replace L2 L0", 1, func() {
		mustTry(t, b, false)
		require.Equal(t, []string{"L0", "L1", "L2"}, w.names())
	})
	mustTry(t, a, true)
	require.NoError(t, a.Unlock())
	mustTry(t, b, true)
}

// The PID of a dead owner is used again, by the very process that tries, or by
// another one.
func TestPIDReuse(t *testing.T) {
	w := newWorld()
	w.set("sss")
	again := w.procs.StartPID(w.dead.PID(), "again")
	l := w.handleOf(again)
	mustTry(t, l, true)
	require.Equal(t, []string{"L0"}, w.names())
	require.NoError(t, l.Unlock())

	w.set("sss")
	other, _ := w.handle()
	mustTry(t, other, true)
}

// A file that a later version wrote is not removed, and the error says what to
// do.
func TestLaterVersion(t *testing.T) {
	for _, name := range []string{"L0", "L1"} {
		w := newWorld()
		w.set("s")
		w.put(name, "dirlock 2\n"+"future\n")
		before := w.files()
		l, _ := w.handle()
		ok, err := l.TryLock()
		require.False(t, ok)
		require.ErrorIs(t, err, lock.ErrVersion)
		require.NotErrorIs(t, err, lock.ErrNotRecord)
		require.ErrorContains(t, err, at(name))
		require.ErrorContains(t, err, "use the version of the program that made it")
		require.NotContains(t, err.Error(), "future")
		require.Equal(t, before, w.files())
	}
}

// A climb over stale levels ends in time, unless the caller waits: then only its
// context ends it. Whoever gives up leaves nothing, and has removed nothing.
func TestClimbIsBounded(t *testing.T) {
	const levels = "ssssssssssssssssssss"
	tooLong := func(time.Time) time.Duration { return time.Hour }

	w := newWorld()
	w.set(levels)
	before := w.files()
	l, _ := w.handle()
	lock.SetSince(l, tooLong)
	mustTry(t, l, false)
	require.Equal(t, before, w.files())
	require.Less(t, len(w.ops), len(levels), "it climbed on")

	lock.SetSince(l, func(time.Time) time.Duration { return 0 })
	mustTry(t, l, true)
	require.NoError(t, l.Unlock())
	require.Empty(t, w.names())

	w = newWorld()
	w.set(levels)
	l, _ = w.handle()
	lock.SetSince(l, tooLong)
	ctx, cancel := context.WithCancel(t.Context())
	looks := 0
	w.probed = func(proc.Identity) {
		if looks++; looks > 10*len(levels) {
			cancel()
		}
	}
	require.NoError(t, l.LockContext(ctx))
	require.Equal(t, []string{"L0"}, w.names())

	w = newWorld()
	w.set(levels)
	before = w.files()
	l, _ = w.handle()
	looks = 0
	w.probed = func(proc.Identity) {
		if looks++; looks == 5 {
			cancel()
		}
	}
	require.ErrorIs(t, l.LockContext(ctx), context.Canceled)
	require.Equal(t, before, w.files())
	require.Equal(t, 5, looks, "it climbed on")
}
