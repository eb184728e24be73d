package lock_test

import (
	"errors"
	"fmt"
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dirlock/dirlock/fsys"
	"github.com/dirlock/dirlock/fsys/memfs"
	"github.com/dirlock/dirlock/lock"
	"github.com/dirlock/dirlock/proc"
)

// answers is a process table that answers one thing, and notes the question.
type answers struct {
	self  proc.Identity
	state proc.State
	asked *int
	err   error
}

func (a answers) Self() (proc.Identity, error) { return a.self, a.err }
func (a answers) Probe(proc.Identity) (proc.State, string) {
	*a.asked++
	return a.state, "so says the table"
}

const (
	dead    = proc.Dead
	alive   = proc.Alive
	unknown = proc.Unknown

	none     = fsys.NoWitness
	heldFile = fsys.Held
	freeFile = fsys.Free
)

// The truth table of docs/liveness.md, row by row. Each case has what the other
// rows would say of it against it, where that is possible: a row that is missing
// or out of order changes an answer.
func TestVerdict(t *testing.T) {
	const here, before, nowhere = "boot-2", "boot-1", ""
	tests := []struct {
		row     int // of docs/liveness.md
		name    string
		boot    string // the owner's; ours is boot-2
		ns      string // the owner's; ours is ns-1
		witness bool   // the owner has one, says its record
		file    fsys.Witness
		remote  bool   // as we see the directory
		guest   bool   // the owner saw it as remote, we export it to him
		mount   string // the owner's, if remote; ours is mount-1
		export  bool   // the owner saw it as local, he exports it to us
		blank   bool   // we know neither our mount nor our namespace
		table   proc.State
		want    proc.State
		asks    bool   // the process table
		why     string // is part of the reason
	}{
		// Same boot, same namespace: the process table knows.
		{row: 4, name: "no such process", boot: here, ns: "ns-1", table: dead, asks: true, want: dead, why: "so says the table"},
		{row: 7, name: "the process exists", boot: here, ns: "ns-1", table: alive, asks: true, want: alive, why: "so says the table"},
		{row: 4, name: "no such process, remote", boot: here, ns: "ns-1", remote: true, table: dead, asks: true, want: dead},
		{row: 7, name: "the process exists, remote", boot: here, ns: "ns-1", remote: true, table: alive, asks: true, want: alive},
		{row: 7, name: "the process exists, its file is free", boot: here, ns: "ns-1", witness: true, file: freeFile, table: alive, asks: true, want: alive},
		{row: 4, name: "no such process, its file is free", boot: here, ns: "ns-1", witness: true, file: freeFile, table: dead, asks: true, want: dead},

		// Its start time cannot be read: alive, unless the witness says otherwise.
		{row: 9, name: "hidden", boot: here, ns: "ns-1", table: unknown, asks: true, want: alive, why: "so says the table"},
		{row: 9, name: "hidden, nobody can tell of the file", boot: here, ns: "ns-1", witness: true, table: unknown, asks: true, want: alive},
		{row: 9, name: "hidden, free file without witness", boot: here, ns: "ns-1", file: freeFile, table: unknown, asks: true, want: alive},
		{row: 8, name: "hidden, its file is free", boot: here, ns: "ns-1", witness: true, file: freeFile, table: unknown, asks: true, want: dead, why: "nobody holds the kernel's lock"},

		// The kernel vouches for it, whatever else is said.
		{row: 1, name: "held, no such process", boot: here, ns: "ns-1", witness: true, file: heldFile, table: dead, want: alive, why: "holds the kernel's lock"},
		{row: 1, name: "held, record without witness", boot: here, ns: "ns-1", file: heldFile, table: dead, want: alive},
		{row: 1, name: "held, another namespace", boot: here, ns: "ns-7", witness: true, file: heldFile, table: dead, want: alive},
		{row: 1, name: "held, another boot", boot: before, ns: "ns-1", witness: true, file: heldFile, table: dead, want: alive},
		{row: 1, name: "held, remote", boot: before, ns: "ns-1", witness: true, file: heldFile, remote: true, table: dead, want: alive},

		// Same boot, another namespace: only the witness knows. The process
		// table is not asked: the PID means somebody else there.
		{row: 10, name: "container, free", boot: here, ns: "ns-7", witness: true, file: freeFile, table: alive, want: dead, why: "another PID namespace"},
		{row: 10, name: "container, free, remote, same mount", boot: here, ns: "ns-7", witness: true, file: freeFile, remote: true, mount: "mount-1", table: alive, want: dead, why: "another PID namespace"},
		{row: 11, name: "container, free, remote, another mount", boot: here, ns: "ns-7", witness: true, file: freeFile, remote: true, mount: "mount-2", table: dead, want: unknown, why: "cannot be seen"},
		{row: 11, name: "container, free, remote, no mount", boot: here, ns: "ns-7", witness: true, file: freeFile, remote: true, table: dead, want: unknown, why: "cannot be seen"},
		{row: 11, name: "container, free, local to us only", boot: here, ns: "ns-7", witness: true, file: freeFile, guest: true, table: dead, want: unknown, why: "cannot be seen"},
		{row: 11, name: "container, free, remote to us only", boot: here, ns: "ns-7", witness: true, file: freeFile, remote: true, export: true, table: dead, want: unknown, why: "cannot be seen"},
		{row: 11, name: "container, free, remote, nobody knows a mount", boot: here, ns: "ns-7", witness: true, file: freeFile, remote: true, blank: true, table: dead, want: unknown, why: "cannot be seen"},
		{row: 11, name: "nobody knows a namespace", boot: here, ns: "", blank: true, table: dead, want: unknown, why: "another PID namespace"},
		{row: 12, name: "another boot, remote to us only", boot: before, ns: "ns-1", remote: true, export: true, table: dead, want: unknown, why: "other machines"},
		{row: 9, name: "hidden, free, remote, another mount", boot: here, ns: "ns-1", witness: true, file: freeFile, remote: true, mount: "mount-2", table: unknown, asks: true, want: alive},
		{row: 11, name: "container, nobody can tell", boot: here, ns: "ns-7", witness: true, table: dead, want: unknown, why: "another PID namespace"},
		{row: 11, name: "container, free file without witness", boot: here, ns: "ns-7", file: freeFile, table: dead, want: unknown},
		{row: 11, name: "container that does not tell", boot: here, ns: "", file: freeFile, table: dead, want: unknown},

		// Another boot. The namespace has the same number on every machine.
		{row: 13, name: "another boot, local", boot: before, ns: "ns-1", table: alive, want: dead, why: "before this machine was last started"},
		{row: 13, name: "another boot, local, free", boot: before, ns: "ns-1", witness: true, file: freeFile, table: alive, want: dead},
		{row: 12, name: "another boot, remote", boot: before, ns: "ns-1", remote: true, table: dead, want: unknown, why: "other machines"},
		{row: 12, name: "another boot, remote, free here", boot: before, ns: "ns-1", witness: true, file: freeFile, remote: true, table: dead, want: unknown},
		{row: 12, name: "another boot, local here but not for the owner", boot: before, ns: "ns-1", guest: true, table: dead, want: unknown, why: "other machines"},
		{row: 15, name: "another boot, local, nobody can tell of the file", boot: before, ns: "ns-1", witness: true, table: dead, want: unknown},

		// No boot is known: two that are not known are not the same one.
		{row: 15, name: "no boot, local", boot: nowhere, ns: "ns-1", table: dead, want: unknown, why: "nothing tells"},
		{row: 14, name: "no boot, local, free", boot: nowhere, ns: "ns-1", witness: true, file: freeFile, table: alive, want: dead, why: "nobody holds the kernel's lock"},
		{row: 15, name: "no boot, local, free file without witness", boot: nowhere, ns: "ns-1", file: freeFile, table: dead, want: unknown},
		{row: 12, name: "no boot, remote, free here", boot: nowhere, ns: "ns-1", witness: true, file: freeFile, remote: true, table: dead, want: unknown},
	}
	rows := tableOfDocs(t)
	for _, test := range tests {
		o, self := someOwner, someOwner.Identity
		o.Boot, o.Namespace, o.Witness = test.boot, test.ns, test.witness
		o.Local, o.Mount = !test.guest && (!test.remote || test.export), test.mount
		self.Boot, self.Namespace, self.PID = here, "ns-1", 99
		loc := fsys.Location{Local: !test.remote, Mount: "mount-1"}
		if test.blank {
			self.Namespace, loc.Mount = "", ""
		}
		rows.checkVerdict(t, test.row, test.name, test.want)
		c := verdictCase{
			name: fmt.Sprintf("row %d, %s", test.row, test.name), data: lock.AppendRecord(nil, o), owner: o,
			file: test.file, location: loc, self: self, table: test.table,
			want: test.want, why: test.why, asks: test.asks,
		}
		c.check(t)
		if test.remote && test.mount == "" {
			d := c
			d.name, d.location.Local, d.fails = c.name+", and the question where it is fails", true, true
			d.check(t)
		}
		// If we do not know our own boot, nothing is of the same one.
		c.name, c.self.Boot, c.want, c.why, c.asks = c.name+", to a process that does not know its boot", "", unknown, "", false
		switch {
		case test.file == heldFile:
			c.want = alive
		case test.witness && test.file == freeFile && !test.remote && !test.guest:
			c.want = dead
		}
		c.check(t)
	}
	// The verdict on a record that was cut short, which names nobody.
	for _, data := range []string{"", "\x00\x00\x00", someRecord[:100], someRecord[:100] + "\x00\x00"} {
		for _, test := range []struct {
			row   int
			file  fsys.Witness
			local bool
			want  proc.State
		}{
			{2, none, true, dead},
			{2, freeFile, true, dead},
			{1, heldFile, true, alive},
			{3, none, false, unknown},
			{3, freeFile, false, unknown},
			{1, heldFile, false, alive},
		} {
			rows.checkVerdict(t, test.row, data, test.want)
			verdictCase{
				name: fmt.Sprintf("row %d, incomplete record %q", test.row, data), data: []byte(data),
				file: test.file, location: fsys.Location{Local: test.local}, table: dead, want: test.want,
			}.check(t)
		}
	}
	// What is not a record has no owner, so that no evidence can say it is dead.
	for _, data := range []string{"hello", strings.Replace(someRecord, "dirlock 1", "dirlock 2", 1), someRecord + "\x00"} {
		for _, file := range []fsys.Witness{none, freeFile, heldFile} {
			rows.checkVerdict(t, 16, data, unknown)
			verdictCase{
				name: fmt.Sprintf("row 16, %q", data), data: []byte(data), unrecognized: true,
				file: file, location: fsys.Location{Local: true}, table: dead, want: unknown,
			}.check(t)
		}
	}
	// Why the table says "dead" is the concern of package proc.
	rows.checkVerdict(t, 5, "no such process", dead)
	rows.checkVerdict(t, 6, "no such process", dead)
	for row := range rows {
		if !rows[row].checked {
			t.Errorf("row %d of docs/liveness.md: no case tests it", row)
		}
	}
}

// verdictCase is a level file, what is known of its owner, and the verdict.
type verdictCase struct {
	name         string
	data         []byte
	owner        lock.Owner
	unrecognized bool
	file         fsys.Witness
	location     fsys.Location
	fails        bool // the question for the location
	self         proc.Identity
	table        proc.State
	want         proc.State
	why          string
	asks         bool
}

// check says in one line what is wrong.
func (c verdictCase) check(t *testing.T) {
	t.Helper()
	w := newWorld(memfs.Location(c.location))
	w.put("L0", string(c.data))
	if c.file != none {
		w.Set(memfs.Witness(heldFile))
	}
	if c.file == heldFile {
		w.Lock(at("L0"), heldFile)
	}
	if c.fails {
		w.before = failing("locate")
	}
	asked := 0
	l := w.lock(answers{c.self, c.table, &asked, nil})
	s, err := l.Status()
	require.NoError(t, err, c.name)
	require.Len(t, s.Levels, 1, c.name)
	lv := s.Levels[0]
	var r *lock.RecordError
	switch {
	case lv.State != c.want:
		t.Errorf("%s: %v (%s), want %v", c.name, lv.State, lv.Reason, c.want)
	case lv.Reason == "" || !strings.Contains(lv.Reason, c.why):
		t.Errorf("%s: the reason is %q, want %q in it", c.name, lv.Reason, c.why)
	case c.unrecognized != errors.As(lv.Err, &r) || c.unrecognized && r.Path != at("L0"):
		t.Errorf("%s: the error is %v", c.name, lv.Err)
	case lv.Owner != c.owner:
		t.Errorf("%s: the owner is %+v", c.name, lv.Owner)
	case c.asks != (asked > 0):
		t.Errorf("%s: the process table was asked %d times", c.name, asked)
	}
	if c.unrecognized {
		ok, err := l.TryLock()
		require.False(t, ok, c.name)
		require.ErrorAs(t, err, &r, c.name)
	}
}

// docRow is a row of the table of docs/liveness.md.
type docRow struct {
	verdict string
	checked bool
}

type docRows map[int]*docRow

func tableOfDocs(t *testing.T) docRows {
	page, err := os.ReadFile("../docs/liveness.md")
	require.NoError(t, err)
	rows := docRows{}
	for _, m := range regexp.MustCompile(`(?m)^\| (\d+) \|.*\| (\w+)[^|]* \|$`).FindAllStringSubmatch(string(page), -1) {
		n, err := strconv.Atoi(m[1])
		require.NoError(t, err)
		rows[n] = &docRow{verdict: m[2]}
	}
	return rows
}

// checkVerdict checks that the page says the same of a row.
func (r docRows) checkVerdict(t *testing.T, row int, name string, want proc.State) {
	t.Helper()
	if r[row] == nil || r[row].verdict != want.String() {
		t.Errorf("row %d of docs/liveness.md does not say that %q is %v", row, name, want)
		return
	}
	r[row].checked = true
}

// Unknown is not dead, and neither is a process table that does not work.
func TestVerdictDecides(t *testing.T) {
	for _, state := range []proc.State{alive, unknown} {
		w := newWorld()
		w.set("s")
		asked := 0
		self, _ := w.live.Self()
		l := w.lock(answers{self, state, &asked, nil})
		before := w.files()
		mustTry(t, l, false)
		require.Equal(t, 1, asked)
		require.Equal(t, before, w.files())
	}

	w := newWorld()
	w.set("s")
	asked := 0
	l := w.lock(answers{state: dead, asked: &asked, err: errInjected})
	before := w.files()
	ok, err := l.TryLock()
	require.False(t, ok)
	require.ErrorIs(t, err, errInjected)
	require.Equal(t, before, w.files())
	w.rm("L0")
	ok, err = l.TryLock()
	require.False(t, ok)
	require.ErrorIs(t, err, errInjected)
	require.Empty(t, w.names())
}

// A process table that breaks its promises must not lead to a record that
// nobody can judge, either.
func TestOwnRecordUnreadable(t *testing.T) {
	tables := map[string]proc.Identity{
		"no PID":         {},
		"negative PID":   {PID: -1},
		"too long":       {PID: 1, Boot: strings.Repeat("x", lock.MaxRecord)},
		"line break":     {PID: 1, Start: "1\nend"},
		"not plain text": {PID: 1, Namespace: "\x1b"},
	}
	if large := math.MaxInt32; large < math.MaxInt {
		large++
		tables["large PID"] = proc.Identity{PID: large}
	}
	for name, self := range tables {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			asked := 0
			l := w.lock(answers{self: self, asked: &asked})
			ok, err := l.TryLock()
			require.False(t, ok)
			if self.PID > 0 {
				require.ErrorIs(t, err, lock.ErrNotRecord)
			} else {
				require.ErrorContains(t, err, "own process ID is")
			}
			require.Empty(t, w.names())
		})
	}
}

// A record is as long as can be read, or it is not made.
func TestOwnRecordAtTheLimit(t *testing.T) {
	made, refused := 0, 0
	for n := lock.MaxRecord - 200; n < lock.MaxRecord; n++ {
		w := newWorld()
		asked := 0
		self := proc.Identity{PID: 1, Boot: strings.Repeat("x", n)}
		now := time.Date(2026, 1, 1, 0, 0, 0, n%2, time.UTC)
		l := w.lock(answers{self: self, asked: &asked}, lock.WithClock(func() time.Time { return now }))
		if ok, err := l.TryLock(); ok {
			made++
			_, err := lock.ParseRecord([]byte(w.data("L0")))
			require.NoError(t, err)
			require.NoError(t, l.Unlock())
		} else {
			refused++
			require.ErrorIs(t, err, lock.ErrNotRecord)
		}
		require.Empty(t, w.names())
	}
	require.Greater(t, made, 20)
	require.Greater(t, refused, 20)
}

func TestRandomIDs(t *testing.T) {
	w := newWorld()
	p := w.procs.Start("p")
	l := w.lock(p, lock.WithRand(badReader{}))
	ok, err := l.TryLock()
	require.False(t, ok)
	require.ErrorIs(t, err, errInjected)
	require.Empty(t, w.names())

	// No two acquisitions have the same ID, not even of one handle.
	l = w.handleOf(p)
	seen := map[string]bool{}
	for range 100 {
		mustTry(t, l, true)
		o, ok := l.Owner()
		require.True(t, ok)
		require.False(t, seen[o.ID])
		seen[o.ID] = true
		require.NoError(t, l.Unlock())
	}
}

type badReader struct{}

func (badReader) Read([]byte) (int, error) { return 0, errors.Join(errInjected) }
