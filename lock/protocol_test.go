package lock_test

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dirlock/dirlock/fsys"
	"github.com/dirlock/dirlock/internal/testutil/step"
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
	// A torn record is a dead owner's only where no other machine writes.
	isDead := func(c byte) bool { return c == stale || c == torn && !remote }
	// One that cannot be told from another torn one never passes the second look.
	provable := func(c byte) bool { return isDead(c) && !(c == torn && noIDs) }

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
			if !provable(at(0)) {
				return p
			}
			p.acquired = true
			after := []byte(levels)
			after[0] = free
			for j := range after {
				if j > 0 && provable(after[j]) {
					after[j] = free
				}
			}
			p.after = string(after)
			return p
		case c == foreign:
			p.unjudged = i
			return p
		case !provable(c):
			return p
		}
	}
}

// Every situation of the first levels, on every kind of directory.
func TestSituations(t *testing.T) {
	type kind struct {
		levels                 int
		witness, remote, noIDs bool
		noReplace              bool
	}
	kinds := map[string]kind{
		"local":               {levels: 6},
		"witness":             {levels: 4, witness: true},
		"remote":              {levels: 4, remote: true},
		"without file ID":     {levels: 4, noIDs: true},
		"without replacement": {levels: 4, noReplace: true},
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
				w := newWorld()
				w.witness, w.remote, w.noIDs, w.noReplace = kind.witness, kind.remote, kind.noIDs, kind.noReplace
				if err := w.checkSituation(string(levels)); err != nil {
					t.Fatalf("%s: %v", levels, err)
				}
			}
		})
	}
}

func (w *world) checkSituation(levels string) error {
	w.set(levels)
	before := w.snapshot()
	want := predict(levels, w.remote, w.noIDs)
	l, _ := w.handle()

	ok, err := l.TryLock()
	if ok != want.acquired {
		return fmt.Errorf("TryLock says %v, %w", ok, err)
	}
	switch {
	case want.unjudged < 0 && err != nil:
		return err
	case want.unjudged >= 0:
		var r *lock.RecordError
		if path := filepath.Join("/mem", fmt.Sprint("L", want.unjudged)); !errors.As(err, &r) || r.Path != path {
			return fmt.Errorf("the error does not name %s: %w", path, err)
		}
	}

	expected := make(map[string]string)
	for i, c := range want.after {
		if name := fmt.Sprintf("L%d", i); c != free {
			expected[name] = before[name]
		}
	}
	after := w.snapshot()
	if ok {
		o, err := lock.ParseRecord([]byte(w.files["L0"].data))
		if mine, held := l.Owner(); err != nil || !held || o != mine {
			return fmt.Errorf("L0 is not ours: %w", err)
		}
		delete(after, "L0")
	}
	if fmt.Sprint(after) != fmt.Sprint(expected) {
		return fmt.Errorf("left %v, not %v", after, expected)
	}
	if !ok {
		if err := l.Unlock(); !errors.Is(err, lock.ErrNotHeld) {
			return fmt.Errorf("Unlock without lock: %w", err)
		}
		return nil
	}
	if err := l.Unlock(); err != nil {
		return err
	}
	if after := w.snapshot(); fmt.Sprint(after) != fmt.Sprint(expected) {
		return fmt.Errorf("after Unlock %v, not %v", after, expected)
	}
	return nil
}

// What the whole takes, operation by operation: see docs/protocol.md.
func TestSteps(t *testing.T) {
	tests := []struct {
		levels string
		ok     bool
		steps  string
	}{
		{"-", true, "read L0, witnesses, create L0"},
		{"h", false, "read L0"},
		{"hss", false, "read L0"},
		{"s", true, "read L0, witnesses, create L1, read L0, replace L1 L0, read L1, read L2, sweep"},
		{"t", true, "read L0, witnesses, create L1, read L0, replace L1 L0, read L1, read L2, sweep"},
		{"ss", true, "read L0, witnesses, create L1, read L1, read L1, read L2, witnesses, create L2, read L0, replace L2 L0, " +
			"read L2, read L3, read L1, remove L1, sweep"},
		{"s-s", true, "read L0, witnesses, create L1, read L0, replace L1 L0, read L1, read L2, read L3, read L4, read L2, remove L2, sweep"},
		{"sst-sh", true, "read L0, witnesses, create L1, read L1, read L1, read L2, read L2, read L3, witnesses, create L3, " +
			"read L0, replace L3 L0, read L3, read L4, read L5, read L6, read L7, read L4, remove L4, read L2, remove L2, read L1, remove L1, sweep"},
		{"sh", false, strings.TrimSuffix(strings.Repeat("read L0, witnesses, create L1, read L1, ", lock.MaxAttempts), ", ")},
		{"ssh", false, strings.TrimSuffix(strings.Repeat("read L0, witnesses, create L1, read L1, read L1, read L2, ", lock.MaxAttempts), ", ")},
	}
	for _, test := range tests {
		t.Run(test.levels, func(t *testing.T) {
			w := newWorld()
			w.set(test.levels)
			l, _ := w.handle()
			lock.SetMaxGap(l, 2)
			mustTry(t, l, test.ok)
			require.Equal(t, strings.Split(test.steps, ", "), w.ops)
			if test.ok {
				w.ops = nil
				require.NoError(t, l.Check())
				require.Equal(t, []string{"intact L0"}, w.ops)
				w.ops = nil
				require.NoError(t, l.Unlock())
				require.Equal(t, []string{"intact L0", "remove L0", "close"}, w.ops)
			}
		})
	}
}

// Where no file replaces another one, L0 is removed and created.
func TestStepsWithoutReplacement(t *testing.T) {
	const start = "read L0, witnesses, create L1, read L0, replace L1 L0, remove L0, "
	inL1 := errors.New("removing L1 fails")
	tests := []struct {
		name   string
		before func(w *world) func(step.Op) error
		ok     bool
		err    error
		steps  string
		left   []string
	}{
		{"alone", nil, true, nil, start + "witnesses, create L0, intact L1, remove L1, close, read L1, read L2, sweep", []string{"L0"}},
		{"somebody was faster", func(w *world) func(step.Op) error {
			return at("create L0", 1, func() { w.set("h") })
		}, false, nil, start + "witnesses, create L0, intact L1, remove L1, close, read L0", []string{"L0"}},
		{"somebody was faster, and is gone", func(w *world) func(step.Op) error {
			return func(op step.Op) error {
				switch op.String() {
				case "create L0":
					w.set("h")
				case "close":
					w.set("-")
				}
				return nil
			}
		}, false, nil, start + "witnesses, create L0, intact L1, remove L1, close, read L0, witnesses, create L0, read L0", []string{"L0"}},
		{"L0 is gone", func(w *world) func(step.Op) error {
			return at("remove L0", 1, func() { w.set("-") })
		}, true, nil, start + "witnesses, create L0, intact L1, remove L1, close, read L1, read L2, sweep", []string{"L0"}},
		{"L0 cannot be removed", func(w *world) func(step.Op) error { return failing("remove L0") },
			false, errInjected, start + "intact L1, remove L1, close", []string{"L0"}},
		{"L0 cannot be created", func(w *world) func(step.Op) error { return failing("create L0") },
			false, errInjected, start + "witnesses, create L0, intact L1, remove L1, close", nil},
		{"L1 cannot be removed", func(w *world) func(step.Op) error {
			return func(op step.Op) error {
				if op.String() == "remove L1" {
					return inL1
				}
				return nil
			}
		}, false, inL1, start + "witnesses, create L0, intact L1, remove L1, intact L1, remove L1, intact L1, remove L1, close, intact L0, remove L0, close", []string{"L1"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld()
			w.noReplace = true
			w.set("s")
			if test.before != nil {
				w.before = test.before(w)
			}
			l, _ := w.handle()
			lock.SetMaxGap(l, 2)
			ok, err := l.TryLock()
			require.Equal(t, test.ok, ok)
			if test.err == nil {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, test.err)
			}
			require.Equal(t, strings.Split(test.steps, ", "), w.ops)
			require.Equal(t, test.left, w.names())
			require.Equal(t, ok, l.Check() == nil)
		})
	}
}

// failing has an operation fail.
func failing(name string) func(step.Op) error {
	return func(op step.Op) error {
		if op.String() == name {
			return errInjected
		}
		return nil
	}
}

// Who had the lock a moment ago does not look before it creates L0; whoever else
// may have got it since is found all the same.
func TestStepsAfterRelease(t *testing.T) {
	tests := []struct {
		later  time.Duration
		levels string
		ok     bool
		steps  string
	}{
		{0, "-", true, "witnesses, create L0"},
		{999 * time.Microsecond, "-", true, "witnesses, create L0"},
		{time.Millisecond, "-", true, "read L0, witnesses, create L0"},
		{0, "h", false, "witnesses, create L0, read L0"},
		{0, "s", true, "witnesses, create L0, read L0, witnesses, create L1, read L0, replace L1 L0, read L1, read L2, sweep"},
		{0, "sh", false, "witnesses, create L0, " + strings.TrimSuffix(strings.Repeat("read L0, witnesses, create L1, read L1, ", lock.MaxAttempts), ", ")},
	}
	for _, test := range tests {
		t.Run(fmt.Sprint(test.levels, test.later), func(t *testing.T) {
			w := newWorld()
			now := time.Now()
			l, _ := w.handle(lock.WithClock(func() time.Time { return now }))
			lock.SetMaxGap(l, 2)
			mustTry(t, l, true)
			require.NoError(t, l.Unlock())
			w.set(test.levels)
			now, w.ops = now.Add(test.later), nil
			mustTry(t, l, test.ok)
			require.Equal(t, strings.Split(test.steps, ", "), w.ops)
		})
	}
}

// Only a look tells a lock that is held from a file that cannot be made.
func TestCreatingInVain(t *testing.T) {
	w := newWorld()
	now := time.Now()
	l, _ := w.handle(lock.WithClock(func() time.Time { return now }))
	mustTry(t, l, true)
	require.NoError(t, l.Unlock())
	w.before = failing("create L0")
	w.set("h")
	mustTry(t, l, false)
	w.set("-")
	_, err := l.TryLock()
	require.ErrorIs(t, err, errInjected)
	w.before = nil
	mustTry(t, l, true)
}

// at calls f ahead of the n-th operation of that name, n from 1.
func at(name string, n int, f func()) func(step.Op) error {
	return func(op step.Op) error {
		if op.String() == name {
			if n--; n == 0 {
				f()
			}
		}
		return nil
	}
}

// What changes between the steps.
func TestChanges(t *testing.T) {
	tests := []struct {
		name   string
		levels string
		when   string // an operation, and n: ahead of the n-th such
		n      int
		change func(w *world)
		ok     bool
		after  []string // the files that are left, ours too
		pauses int
	}{
		{
			name: "L0 taken before it was created", levels: "-", when: "create L0", n: 1,
			change: func(w *world) { w.set("h") }, after: []string{"L0"},
		},
		{
			name: "L0 taken, and gone again", levels: "-", when: "create L0", n: 1,
			change: func(w *world) {
				w.set("h")
				w.before = at("read L0", 1, func() { w.rm("L0") })
			},
		},
		{
			name: "L0 taken by one who dies", levels: "-", when: "create L0", n: 1,
			change: func(w *world) { w.set("s") }, ok: true, after: []string{"L0"},
		},
		{
			name: "L0 gone before the last look", levels: "s", when: "read L0", n: 2,
			change: func(w *world) { w.rm("L0") }, ok: true, after: []string{"L0"}, pauses: 1,
		},
		{
			name: "L0 recovered before L1 was made", levels: "s", when: "create L1", n: 1,
			change: func(w *world) { w.set("h") }, after: []string{"L0"}, pauses: 1,
		},
		{
			name: "L0 recovered before the last look", levels: "s", when: "read L0", n: 2,
			change: func(w *world) { w.set("h") }, after: []string{"L0"}, pauses: 1,
		},
		{
			name: "L0 is another dead owner's at the last look", levels: "s", when: "read L0", n: 2,
			change: func(w *world) { w.set("s") }, ok: true, after: []string{"L0"}, pauses: 1,
		},
		{
			name: "torn L0 was made again, and is held", levels: "t", when: "read L0", n: 2,
			change: func(w *world) { w.putHeld("L0", string(w.files["L0"].data)) }, after: []string{"L0"}, pauses: 1,
		},
		{
			name: "torn L0 was made again, equal and dead", levels: "t", when: "read L0", n: 2,
			change: func(w *world) { w.set("t") }, ok: true, after: []string{"L0"}, pauses: 1,
		},
		{
			name: "L0 is foreign at the last look", levels: "s", when: "read L0", n: 2,
			change: func(w *world) { w.putSpecial("L0") }, after: []string{"L0"}, pauses: 1,
		},
		{
			name: "L1 gone before it was read", levels: "sh", when: "read L1", n: 1,
			change: func(w *world) { w.rm("L1") }, ok: true, after: []string{"L0"}, pauses: 1,
		},
		{
			name: "L1 gone at the second look", levels: "ss", when: "read L1", n: 2,
			change: func(w *world) { w.rm("L1") }, ok: true, after: []string{"L0"}, pauses: 1,
		},
		{
			name: "L1 is somebody else's at the second look", levels: "ss", when: "read L1", n: 2,
			change: func(w *world) { w.set("sh") }, after: []string{"L0", "L1"}, pauses: lock.MaxAttempts - 1,
		},
		{
			name: "L1 is another dead owner's at the second look", levels: "ss", when: "read L1", n: 2,
			change: func(w *world) { w.set("ss") }, ok: true, after: []string{"L0"}, pauses: 1,
		},
		{
			name: "torn L1 was made again, and is held", levels: "st", when: "read L1", n: 2,
			change: func(w *world) { w.putHeld("L1", string(w.files["L1"].data)) }, after: []string{"L0", "L1"}, pauses: lock.MaxAttempts - 1,
		},
		{
			name: "L1 is foreign at the second look", levels: "ss", when: "read L1", n: 2,
			change: func(w *world) { w.putSpecial("L1") }, after: []string{"L0", "L1"}, pauses: 1,
		},
		{
			name: "the recovery ends while we pause", levels: "sh", when: "read L1", n: 1,
			change: func(w *world) { w.paused = func() { w.set("--") } }, ok: true, after: []string{"L0"}, pauses: 1,
		},
		{
			name: "the recoverer dies while we pause", levels: "sh", when: "read L1", n: 1,
			change: func(w *world) { w.paused = func() { w.set("ss"); w.paused = nil } }, ok: true, after: []string{"L0"}, pauses: 1,
		},
		{
			name: "sweep: L2 gone at the first look", levels: "s-s", when: "read L2", n: 1,
			change: func(w *world) { w.rm("L2") }, ok: true, after: []string{"L0"},
		},
		{
			name: "sweep: L2 is somebody else's at the second look", levels: "s-s", when: "read L2", n: 2,
			change: func(w *world) { w.set("h-h") }, ok: true, after: []string{"L0", "L2"},
		},
		{
			name: "sweep: torn L2 was made again, and is held", levels: "s-t", when: "read L2", n: 2,
			change: func(w *world) { w.putHeld("L2", string(w.files["L2"].data)) }, ok: true, after: []string{"L0", "L2"},
		},
		{
			name: "sweep: L2 gone before it is removed", levels: "s-s", when: "remove L2", n: 1,
			change: func(w *world) { w.rm("L2") }, ok: true, after: []string{"L0"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld()
			w.set(test.levels)
			done := false
			w.before = at(test.when, test.n, func() {
				done = true
				test.change(w)
			})
			l, _ := w.handle()
			ok, err := l.TryLock()
			require.True(t, done)
			if !strings.Contains(test.name, "foreign") {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, fsys.ErrNotRegular)
			}
			require.Equal(t, test.ok, ok)
			require.Equal(t, test.after, append([]string(nil), w.names()...))
			require.Len(t, w.pauses, test.pauses)
			if ok && !strings.HasPrefix(test.name, "sweep: L2 is somebody") {
				require.NoError(t, l.Check())
			}
		})
	}
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
	w.before = func(op step.Op) error {
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
		w := newWorld()
		w.witness = true
		w.set(levels)
		d, _ := w.handle()
		e, _ := w.handle()
		f, _ := w.handle()
		w.before = at(fmt.Sprintf("create L%d", len(levels)), 1, func() {
			mustTry(t, e, true)
			require.NoError(t, e.Unlock())
			mustTry(t, f, true)
		})
		mustTry(t, d, false)
		require.NoError(t, f.Check())
		require.Equal(t, []string{"L0"}, w.names())
	}
}

// Levels have no limit: every process dies just before it would have replaced
// L0, and leaves one level more.
func TestManyCrashes(t *testing.T) {
	const crashes = 30
	w := newWorld()
	w.set("s")
	for n := range crashes {
		l, p := w.handle()
		w.before = func(op step.Op) error {
			if op.Name == "replace" {
				panic("crash")
			}
			return nil
		}
		require.PanicsWithValue(t, "crash", func() { l.TryLock() })
		p.Kill()
		require.Len(t, w.names(), n+2)
		w.inside = false
	}
	w.before = nil
	l, _ := w.handle()
	mustTry(t, l, true)
	require.Equal(t, []string{"L0"}, w.names())
	require.NoError(t, l.Unlock())
	require.Empty(t, w.names())
}

// The same with processes that die after they recovered, in the middle of the
// sweep, so that files stay above the levels that the next one climbs to.
func TestCrashesInSweep(t *testing.T) {
	w := newWorld()
	w.set("sssss")
	for range 25 {
		l, p := w.handle()
		w.before = at("read L5", 1, func() { panic("crash") })
		require.PanicsWithValue(t, "crash", func() { l.TryLock() })
		p.Kill()
		w.inside = false
	}
	w.before = nil
	l, _ := w.handle()
	mustTry(t, l, true)
	require.Equal(t, []string{"L0"}, w.names())
}

// An error at any operation of any path means not acquired, and leaves nothing
// of ours; only the sweep, which comes after the acquisition, may fail.
func TestFailures(t *testing.T) {
	for _, levels := range []string{"-", "h", "s", "t", "ss", "st", "ssss", "s-s", "sh", "ssh"} {
		for _, change := range []string{"", "L0 lost before the last look"} {
			for n := 1; ; n++ {
				w := newWorld()
				w.set(levels)
				before := w.snapshot()
				l, _ := w.handle()
				lock.SetMaxAttempts(l, 2)
				failed, replaced, closing, lost := "", false, false, false
				w.before = func(op step.Op) error {
					if change != "" && op.String() == "read L0" && len(w.ops) > 1 && !lost {
						lost = true
						w.set("h")
						before = w.snapshot()
						for name := range before {
							if o, err := lock.ParseRecord(w.files[name].data); err == nil && o.Command == "tester" {
								delete(before, name)
							}
						}
					}
					if len(w.ops) == n {
						failed = op.String()
						closing = op.Name == "close"
						return errInjected
					}
					replaced = replaced || op.Name == "replace"
					return nil
				}
				ok, err := l.TryLock()
				if failed == "" {
					require.NoError(t, err)
					break
				}
				where := fmt.Sprintf("%s %s: %s failed", levels, change, failed)
				switch {
				case replaced:
					// Owned by then. What could not be swept stays for the next.
					require.NoError(t, err, where)
					require.True(t, ok, where)
					require.NoError(t, l.Check(), where)
				case closing || strings.HasPrefix(failed, "intact") || strings.HasPrefix(failed, "remove"):
					// Stepping back is tried again.
					require.NoError(t, err, where)
					require.False(t, ok, where)
					require.Equal(t, before, w.snapshot(), where)
				default:
					require.ErrorIs(t, err, errInjected, where)
					var p *fs.PathError
					require.ErrorAs(t, err, &p, where)
					require.Equal(t, "lock", p.Op, where)
					require.Equal(t, "/mem", p.Path, where)
					require.False(t, ok, where)
					require.ErrorIs(t, l.Unlock(), lock.ErrNotHeld, where)
					require.Equal(t, before, w.snapshot(), where)
				}
				if ok {
					w.before = nil
					require.NoError(t, l.Unlock(), where)
					require.NotContains(t, w.names(), "L0", where)
				}
				require.Less(t, n, 100)
			}
		}
	}
}

// A known implementation swallows the error of the replacement, and says that
// it has the lock.
func TestReplaceFails(t *testing.T) {
	w := newWorld()
	w.set("ss")
	before := w.snapshot()
	l, _ := w.handle()
	w.before = func(op step.Op) error {
		if op.Name == "replace" {
			return errInjected
		}
		return nil
	}
	ok, err := l.TryLock()
	require.False(t, ok)
	require.ErrorIs(t, err, errInjected)
	require.Equal(t, before, w.snapshot())
	require.ErrorIs(t, l.Check(), lock.ErrNotHeld)
	_, held := l.Owner()
	require.False(t, held)

	w.before = nil
	mustTry(t, l, true)
}

// replaceThenFail is a directory whose reply to Replace got lost.
type replaceThenFail struct{ memDir }

func (d replaceThenFail) Replace(oldname, newname string) error {
	return errors.Join(d.memDir.Replace(oldname, newname), errInjected)
}

func TestReplaceFailsButWasDone(t *testing.T) {
	w := newWorld()
	w.set("s")
	l := lock.New("d", lock.WithFS(fixedFS{replaceThenFail{memDir{&w.memFS}}}), lock.WithProcesses(w.live))
	ok, err := l.TryLock()
	require.False(t, ok)
	require.ErrorIs(t, err, errInjected)
	require.Empty(t, w.names(), "nobody would ever remove this file while we live")
}

// Whoever steps back removes its own file only. Somebody put another in its
// place, which is misuse, but must not become worse.
func TestWithdrawOwnOnly(t *testing.T) {
	for name, put := range map[string]func(w *world){
		"other record":          func(w *world) { w.put("L1", w.record(w.live)) },
		"same data, other file": func(w *world) { w.put("L1", string(w.files["L1"].data)) },
		"written over":          func(w *world) { w.files["L1"].data = []byte("mine") },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.set("s")
			l, _ := w.handle()
			w.before = at("read L0", 2, func() {
				w.set("h")
				put(w)
			})
			mustTry(t, l, false)
			require.Equal(t, []string{"L0", "L1"}, w.names())
			require.NotContains(t, w.ops, "remove L1")
		})
	}
}

// A failing removal is tried three times, since the file would be in the way of
// all others.
func TestWithdrawAgain(t *testing.T) {
	for failures := range 5 {
		w := newWorld()
		w.set("s")
		l, _ := w.handle()
		n := 0
		w.before = func(op step.Op) error {
			switch op.String() {
			case "replace L1 L0":
				return fs.ErrPermission
			case "remove L1":
				if n++; n <= failures {
					return errInjected
				}
			}
			return nil
		}
		ok, err := l.TryLock()
		require.False(t, ok)
		require.ErrorIs(t, err, fs.ErrPermission)
		if failures < 3 {
			require.NotErrorIs(t, err, errInjected)
			require.Equal(t, []string{"L0"}, w.names())
		} else {
			require.ErrorIs(t, err, errInjected)
			require.Equal(t, []string{"L0", "L1"}, w.names())
		}
	}
}

// The sweep goes from the top down, so that a death in the middle leaves no
// stale level above a free one that the next recovery would stop at.
func TestSweepTopDown(t *testing.T) {
	w := newWorld()
	w.set("ssssssssssss") // two digits, too: L10 is above L9
	l, _ := w.handle()
	mustTry(t, l, true)
	var removed []string
	for _, op := range w.ops {
		if name, ok := strings.CutPrefix(op, "remove "); ok {
			removed = append(removed, name)
		}
	}
	require.Equal(t, []string{"L11", "L10", "L9", "L8", "L7", "L6", "L5", "L4", "L3", "L2", "L1"}, removed)
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
		w.before = func(o step.Op) error {
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

// Unlock looks first: what is not ours is not removed.
func TestUnlockLost(t *testing.T) {
	changes := map[string]func(w *world){
		"gone":                  func(w *world) { w.rm("L0") },
		"another owner":         func(w *world) { w.set("h") },
		"same data, other file": func(w *world) { w.put("L0", string(w.files["L0"].data)) },
		"written over":          func(w *world) { w.files["L0"].data = []byte("mine") },
		"cut short":             func(w *world) { w.files["L0"].data = nil },
		"not a file":            func(w *world) { w.putSpecial("L0") },
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			l, _ := w.handle()
			mustTry(t, l, true)
			require.NoError(t, l.Check())
			change(w)
			before := w.snapshot()
			w.ops = nil
			for range 2 {
				err := l.Check()
				require.ErrorIs(t, err, lock.ErrLost)
				require.NotErrorIs(t, err, lock.ErrNotHeld)
			}
			mustTry(t, l, false) // not re-entrant, lost or not
			err := l.Unlock()
			require.ErrorIs(t, err, lock.ErrLost)
			require.NotErrorIs(t, err, lock.ErrNotHeld)
			var p *fs.PathError
			require.ErrorAs(t, err, &p)
			require.Equal(t, "unlock", p.Op)
			require.Equal(t, "/mem", p.Path)
			require.Equal(t, before, w.snapshot())
			require.Equal(t, []string{"intact L0", "intact L0", "intact L0", "close"}, w.ops)
			require.ErrorIs(t, l.Unlock(), lock.ErrNotHeld)
			require.ErrorIs(t, l.Check(), lock.ErrNotHeld)
		})
	}
}

// It goes between our look and the removal.
func TestUnlockLostMeanwhile(t *testing.T) {
	w := newWorld()
	l, _ := w.handle()
	mustTry(t, l, true)
	w.before = at("remove L0", 1, func() { w.rm("L0") })
	require.ErrorIs(t, l.Unlock(), lock.ErrLost)
}

// An Unlock that fails can be tried again.
func TestUnlockFails(t *testing.T) {
	for _, op := range []string{"intact L0", "remove L0"} {
		w := newWorld()
		w.witness = true
		l, _ := w.handle()
		mustTry(t, l, true)
		w.before = func(o step.Op) error {
			if o.String() == op {
				return errInjected
			}
			return nil
		}
		for range 2 {
			err := l.Unlock()
			require.ErrorIs(t, err, errInjected)
			require.NotErrorIs(t, err, lock.ErrLost)
			require.NotErrorIs(t, err, lock.ErrNotHeld)
		}
		if op == "intact L0" {
			err := l.Check()
			require.ErrorIs(t, err, errInjected)
			require.NotErrorIs(t, err, lock.ErrLost)
		}
		w.before = nil
		require.NoError(t, l.Check())
		other, _ := w.handle()
		mustTry(t, other, false)
		require.NoError(t, l.Unlock())
		require.Empty(t, w.names())
		mustTry(t, other, true)
	}
}

func TestUnlockNotHeld(t *testing.T) {
	for _, levels := range []string{"-", "h", "s", "f", "t"} {
		w := newWorld()
		w.set(levels)
		before := w.snapshot()
		l, _ := w.handle()
		for _, err := range []error{l.Unlock(), l.Check()} {
			require.ErrorIs(t, err, lock.ErrNotHeld)
			require.NotErrorIs(t, err, lock.ErrLost)
			var p *fs.PathError
			require.ErrorAs(t, err, &p)
			require.Equal(t, "/mem", p.Path)
		}
		require.Empty(t, w.ops)
		require.Equal(t, before, w.snapshot())
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
	w.before = at("replace L2 L0", 1, func() {
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
		before := w.snapshot()
		l, _ := w.handle()
		ok, err := l.TryLock()
		require.False(t, ok)
		require.ErrorIs(t, err, lock.ErrVersion)
		require.NotErrorIs(t, err, lock.ErrNotRecord)
		require.ErrorContains(t, err, filepath.Join("/mem", name))
		require.ErrorContains(t, err, "use the version of the program that made it")
		require.NotContains(t, err.Error(), "future")
		require.Equal(t, before, w.snapshot())
	}
}

// No handle keeps a file open that it has given up.
func TestHandlesAreClosed(t *testing.T) {
	for _, levels := range []string{"-", "s", "t", "ss", "sts"} {
		for n := 1; ; n++ {
			w := newWorld()
			w.set(levels)
			l, _ := w.handle()
			failed := ""
			w.before = func(op step.Op) error {
				if len(w.ops) == n {
					failed = op.String()
					return errInjected
				}
				return nil
			}
			ok, _ := l.TryLock()
			w.before = nil
			if ok {
				require.Equal(t, 1, w.open)
				require.NoError(t, l.Unlock())
			}
			require.Zero(t, w.open, "%s: %s failed", levels, failed)
			if failed == "" {
				break
			}
		}
	}
}

func TestLevelsSorted(t *testing.T) {
	w := newWorld()
	w.set("hshshshshshsh")
	l, _ := w.handle()
	s, err := l.Status()
	require.NoError(t, err)
	var got []int
	for _, lv := range s.Levels {
		got = append(got, lv.N)
	}
	require.True(t, slices.IsSorted(got))
	require.Len(t, got, 13)
}
