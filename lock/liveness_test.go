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
	freeFile = fsys.Free
	weak     = fsys.HeldWeakly
	strong   = fsys.Held
)

// The truth table of docs/liveness.md, row by row. Each case has what the other
// rows would say of it against it, where that is possible: a row that is missing
// or out of order changes an answer.
func TestVerdict(t *testing.T) {
	const here, before, nowhere = "boot-2", "boot-1", ""
	var (
		ext4    = fsys.Location{Local: true, Type: "ext4", Mount: "1", Direct: true}
		copied  = fsys.Location{Local: true, Type: "xfs", Mount: "2", Direct: true}
		overlay = fsys.Location{Local: true, Type: "overlay", Mount: "3"}
		again   = fsys.Location{Local: true, Type: "overlay", Mount: "4"}
		nfs     = fsys.Location{Type: "nfs", Mount: "5"}
		nfs2    = fsys.Location{Type: "nfs", Mount: "6"}
		old     = fsys.Location{Local: true} // as records of earlier versions say
		nothing = fsys.Location{}
	)
	tests := []struct {
		row     int
		name    string
		boot    string        // the owner's; ours is boot-2
		ns      string        // the owner's; ours is ns-1
		promise fsys.Witness  // the owner's
		file    fsys.Witness  // what the kernel says
		owner   fsys.Location // what the owner saw
		reader  fsys.Location // what we see
		table   proc.State    // what the process table says, if it is asked
		ours    bool          // the owner has our PID
		machine string        // the name of its machine; ours is "rack-7"
		why     string
		want    proc.State
	}{
		{row: 1, name: "held", boot: here, ns: "ns-1", promise: strong, file: strong, owner: ext4, reader: ext4, table: dead, want: alive},
		{row: 1, name: "held in another container", boot: here, ns: "ns-7", promise: strong, file: strong, owner: ext4, reader: ext4, table: dead, want: alive},
		{row: 1, name: "held before a boot", boot: before, ns: "ns-1", promise: strong, file: strong, owner: ext4, reader: ext4, table: dead, want: alive},
		{row: 1, name: "held, network", boot: before, ns: "ns-1", promise: weak, file: weak, owner: nfs, reader: nfs, table: dead, want: alive},
		{row: 1, name: "held, earlier version", boot: here, ns: "ns-1", promise: weak, file: weak, owner: old, reader: ext4, table: dead, want: alive},
		{row: 1, name: "held without a promise", boot: here, ns: "ns-1", file: weak, owner: ext4, reader: ext4, table: dead, want: alive},
		{row: 1, name: "held weakly, the strong lock cannot be seen", boot: here, ns: "ns-7", promise: strong, file: weak, owner: overlay, reader: ext4, table: dead, want: alive},
		{row: 1, name: "held weakly, over the network here", boot: here, ns: "ns-7", promise: strong, file: weak, owner: ext4, reader: nfs, table: dead, want: alive},

		{row: 5, name: "let go", boot: here, ns: "ns-1", promise: strong, file: freeFile, owner: ext4, reader: ext4, table: alive, want: dead, why: "it does not hold"},
		{row: 5, name: "let go, and a reader has locked it", boot: here, ns: "ns-1", promise: strong, file: weak, owner: ext4, reader: ext4, table: alive, want: dead, why: "any reader"},
		{row: 5, name: "let go, of a weak lock", boot: here, ns: "ns-1", promise: weak, file: freeFile, owner: ext4, reader: ext4, table: alive, want: dead},
		{row: 5, name: "let go, by this process", boot: here, ns: "ns-1", promise: strong, file: freeFile, owner: ext4, reader: ext4, ours: true, table: alive, want: dead},
		{row: 5, name: "let go, in another container", boot: here, ns: "ns-7", promise: strong, file: freeFile, owner: ext4, reader: ext4, table: alive, want: dead},
		{row: 5, name: "a copy on another disk", boot: here, ns: "ns-1", promise: strong, file: freeFile, owner: ext4, reader: copied, table: alive, want: dead},
		{row: 5, name: "one overlay", boot: here, ns: "ns-7", promise: strong, file: freeFile, owner: overlay, reader: overlay, table: alive, want: dead},
		{row: 5, name: "let go before a boot", boot: before, ns: "ns-1", promise: strong, file: freeFile, owner: ext4, reader: copied, table: alive, want: dead},
		{row: 5, name: "overlay before a boot", boot: before, ns: "ns-1", promise: strong, file: freeFile, owner: overlay, reader: again, table: alive, want: dead},
		{row: 5, name: "no boot known, let go", boot: nowhere, ns: "ns-1", promise: strong, file: freeFile, owner: ext4, reader: ext4, table: alive, want: dead},

		{row: 6, name: "this process, another lock", boot: here, ns: "ns-1", owner: ext4, reader: ext4, ours: true, table: alive, want: dead, why: "this process"},
		{row: 6, name: "this process, network", boot: here, ns: "ns-1", owner: nfs, reader: nfs, ours: true, table: alive, want: dead},

		{row: 7, name: "no such process", boot: here, ns: "ns-1", owner: ext4, reader: ext4, table: dead, want: dead, why: "so says the table"},
		{row: 7, name: "no such process, network", boot: here, ns: "ns-1", owner: nfs, reader: nfs, table: dead, want: dead},
		{row: 7, name: "no such process, let go elsewhere", boot: here, ns: "ns-1", promise: strong, file: freeFile, owner: overlay, reader: ext4, table: dead, want: dead},
		{row: 8, name: "the process exists", boot: here, ns: "ns-1", owner: ext4, reader: ext4, table: alive, want: alive, why: "so says the table"},
		{row: 8, name: "the process exists, in the upper directory", boot: here, ns: "ns-1", promise: strong, file: freeFile, owner: overlay, reader: ext4, table: alive, want: alive},
		{row: 8, name: "the process exists, another overlay", boot: here, ns: "ns-1", promise: strong, file: freeFile, owner: overlay, reader: again, table: alive, want: alive},
		{row: 8, name: "the process exists, network", boot: here, ns: "ns-1", promise: weak, file: freeFile, owner: nfs, reader: nfs, table: alive, want: alive},
		{row: 8, name: "the process exists, earlier version", boot: here, ns: "ns-1", promise: weak, file: freeFile, owner: old, reader: ext4, table: alive, want: alive},
		{row: 8, name: "the process exists, nobody can tell of the file", boot: here, ns: "ns-1", promise: strong, owner: ext4, reader: ext4, table: alive, want: alive},
		{row: 8, name: "the process exists, no promise", boot: here, ns: "ns-1", file: freeFile, owner: ext4, reader: ext4, table: alive, want: alive},
		{row: 9, name: "hidden, let go, network", boot: here, ns: "ns-1", promise: weak, file: freeFile, owner: nfs, reader: nfs, table: unknown, want: dead, why: "nobody holds the kernel's lock"},
		{row: 10, name: "hidden", boot: here, ns: "ns-1", owner: ext4, reader: ext4, table: unknown, want: alive, why: "so says the table"},
		{row: 10, name: "hidden, no promise", boot: here, ns: "ns-1", file: freeFile, owner: nfs, reader: nfs, table: unknown, want: alive},
		{row: 10, name: "hidden, another mount", boot: here, ns: "ns-1", promise: weak, file: freeFile, owner: nfs, reader: nfs2, table: unknown, want: alive},
		{row: 10, name: "hidden, nobody knows a mount", boot: here, ns: "ns-1", promise: weak, file: freeFile, owner: nothing, reader: nothing, table: unknown, want: alive},

		{row: 11, name: "container, let go, network", boot: here, ns: "ns-7", promise: weak, file: freeFile, owner: nfs, reader: nfs, table: alive, want: dead, why: "another PID namespace"},
		{row: 12, name: "container, another mount", boot: here, ns: "ns-7", promise: weak, file: freeFile, owner: nfs, reader: nfs2, table: dead, want: unknown, why: "cannot be seen"},
		{row: 12, name: "container, nobody knows a mount", boot: here, ns: "ns-7", promise: weak, file: freeFile, owner: nothing, reader: nothing, table: dead, want: unknown, why: "cannot be seen"},
		{row: 12, name: "container, upper directory", boot: here, ns: "ns-7", promise: strong, file: freeFile, owner: overlay, reader: ext4, table: dead, want: unknown, why: "cannot be seen"},
		{row: 12, name: "container, merged directory", boot: here, ns: "ns-7", promise: strong, file: freeFile, owner: ext4, reader: overlay, table: dead, want: unknown, why: "cannot be seen"},
		{row: 12, name: "container, earlier version", boot: here, ns: "ns-7", promise: weak, file: freeFile, owner: old, reader: ext4, table: dead, want: unknown, why: "cannot be seen"},
		{row: 12, name: "container, local to us only", boot: here, ns: "ns-7", promise: strong, file: freeFile, owner: nfs, reader: ext4, table: dead, want: unknown},
		{row: 12, name: "container, local to it only", boot: here, ns: "ns-7", promise: strong, file: freeFile, owner: ext4, reader: nfs, table: dead, want: unknown},
		{row: 12, name: "container, no promise", boot: here, ns: "ns-7", file: freeFile, owner: ext4, reader: ext4, table: dead, want: unknown, why: "carries no lock"},
		{row: 12, name: "namespace not known", boot: here, file: freeFile, owner: ext4, reader: ext4, table: dead, want: unknown},

		{row: 21, name: "restarted", boot: before, ns: "ns-1", promise: weak, file: freeFile, owner: nfs, reader: nfs, machine: "rack-7", table: alive, want: dead, why: "before the last restart"},
		{row: 21, name: "restarted, no locks", boot: before, ns: "ns-7", owner: nfs, reader: nfs, machine: "rack-7", table: alive, want: dead},
		{row: 21, name: "restarted, local", boot: before, ns: "ns-1", owner: ext4, reader: ext4, machine: "rack-7", table: alive, want: dead},
		{row: 1, name: "restarted, and the server has not noticed", boot: before, ns: "ns-1", promise: weak, file: weak, owner: nfs, reader: nfs, machine: "rack-7", table: dead, want: alive},
		{row: 8, name: "not restarted", boot: here, ns: "ns-1", owner: nfs, reader: nfs, machine: "rack-7", table: alive, want: alive},
		{row: 12, name: "container, not restarted", boot: here, ns: "ns-7", owner: nfs, reader: nfs, machine: "rack-7", table: dead, want: unknown},
		{row: 13, name: "another machine", boot: before, ns: "ns-1", promise: weak, file: freeFile, owner: nfs, reader: nfs, machine: "rack-8", table: dead, want: unknown},
		{row: 13, name: "no boot known, this machine", boot: nowhere, ns: "ns-1", owner: nfs, reader: nfs, machine: "rack-7", table: dead, want: unknown},
		{row: 13, name: "another boot, network", boot: before, ns: "ns-1", promise: weak, file: freeFile, owner: nfs, reader: nfs, table: dead, want: unknown, why: "other machines"},
		{row: 13, name: "another boot, local to us only", boot: before, ns: "ns-1", promise: weak, file: freeFile, owner: nfs, reader: ext4, table: dead, want: unknown, why: "other machines"},
		{row: 13, name: "another boot, local to it only", boot: before, ns: "ns-1", promise: strong, file: freeFile, owner: ext4, reader: nfs, table: dead, want: unknown, why: "other machines"},
		{row: 13, name: "no boot known, network", boot: nowhere, ns: "ns-1", owner: nfs, reader: nfs, table: dead, want: unknown},
		{row: 14, name: "another boot, no promise", boot: before, ns: "ns-1", file: freeFile, owner: ext4, reader: ext4, table: dead, want: unknown, why: "carries no lock"},
		{row: 14, name: "another boot, upper directory", boot: before, ns: "ns-1", promise: strong, file: freeFile, owner: overlay, reader: ext4, table: dead, want: unknown, why: "cannot be seen"},
		{row: 14, name: "another boot, earlier version", boot: before, ns: "ns-1", promise: weak, file: freeFile, owner: old, reader: ext4, table: dead, want: unknown},
		{row: 14, name: "another boot, nobody can tell of the file", boot: before, ns: "ns-1", promise: strong, owner: ext4, reader: ext4, table: dead, want: unknown},
		{row: 14, name: "no boot known", boot: nowhere, ns: "ns-1", owner: ext4, reader: ext4, table: dead, want: unknown},

		{row: 18, name: "leased", boot: here, ns: "ns-1", file: fsys.Leased, owner: nfs, reader: nfs, table: dead, want: alive, why: "lease"},
		{row: 18, name: "leased, by a clone of this machine", boot: here, ns: "ns-1", file: fsys.Leased, owner: nfs, reader: nfs, ours: true, table: dead, want: alive},
		{row: 18, name: "leased, elsewhere", boot: before, ns: "ns-7", file: fsys.Leased, owner: nfs, reader: nfs, table: dead, want: alive},
		{row: 19, name: "no lease", boot: here, ns: "ns-1", file: fsys.Ended, owner: nfs, reader: nfs, table: alive, want: dead, why: "no lease"},
		{row: 19, name: "no lease, elsewhere", boot: before, ns: "ns-7", file: fsys.Ended, owner: nfs, reader: nfs, table: alive, want: dead},
	}
	rows := tableOfDocs(t)
	for _, test := range tests {
		o, self := someOwner, someOwner.Identity
		o.Boot, o.Namespace, o.Machine = test.boot, test.ns, test.machine
		o.Witness, o.WriteLock = test.promise != none, test.promise == strong
		o.Local, o.Type, o.Mount, o.Direct = test.owner.Local, test.owner.Type, test.owner.Mount, test.owner.Direct
		self.Boot, self.Namespace = here, "ns-1"
		if !test.ours {
			self.PID = 99
		}
		// Of an owner that is alive by its witness, Status says whether its process
		// has ended.
		asks := func(row int) bool {
			return row >= 7 && row <= 10 || row == 1 && o.Boot == self.Boot && o.Namespace == self.Namespace
		}
		rows.checkVerdict(t, test.row, test.name, test.want)
		c := verdictCase{
			row: test.row, name: test.name, data: lock.AppendRecord(nil, o), owner: o,
			file: test.file, location: test.reader, self: self, table: test.table,
			want: test.want, why: test.why, asks: asks(test.row),
		}
		c.check(t)
		// A directory of which nobody can tell where it is, is not local, and its
		// mount is not known.
		c.location, c.name = nothing, test.name+", nobody knows where the directory is"
		if test.machine == "" && (test.row == 5 || test.row == 9 || test.row == 11 || test.row == 14) {
			c.row, c.want, c.why = 13, unknown, ""
			switch {
			case o.Boot == here && o.Namespace != "ns-1":
				c.row = 12
			case o.Boot == here && test.ours:
				c.row, c.want = 6, dead
			case o.Boot == here:
				c.row, c.want = map[proc.State]int{dead: 7, alive: 8, unknown: 10}[test.table], test.table
				if test.table == unknown {
					c.want = alive
				}
			}
			if test.file == weak {
				c.row, c.want = 1, alive
			}
			c.asks = asks(c.row)
		}
		c.check(t)
		c.location, c.fails, c.name = test.reader, true, test.name+", and the question where it is fails"
		c.check(t)
	}
	// The verdict on a record that was cut short, which names nobody.
	for _, data := range []string{"", "\x00\x00\x00", someRecord[:100], someRecord[:100] + "\x00\x00"} {
		for _, test := range []struct {
			row   int
			file  fsys.Witness
			local bool
			noIDs bool
			want  proc.State
		}{
			{2, none, true, false, dead},
			{2, freeFile, true, false, dead},
			{1, weak, true, false, alive},
			{1, strong, true, false, alive},
			{3, none, false, false, unknown},
			{3, freeFile, false, true, unknown},
			{1, strong, false, false, alive},
			{18, fsys.Leased, false, false, alive},
			{3, fsys.Ended, false, false, unknown},
			{4, none, true, true, unknown},
			{4, freeFile, true, true, unknown},
			{1, strong, true, true, alive},
		} {
			rows.checkVerdict(t, test.row, data, test.want)
			verdictCase{
				row: test.row, name: fmt.Sprintf("incomplete record %q", data), data: []byte(data),
				file: test.file, location: fsys.Location{Local: test.local}, noIDs: test.noIDs, table: dead, want: test.want,
			}.check(t)
		}
	}
	// What is not a record has no owner, so that no evidence can say it is dead.
	for _, data := range []string{"hello", strings.Replace(someRecord, "dirlock 1", "dirlock 2", 1), someRecord + "\x00"} {
		for _, file := range []fsys.Witness{none, freeFile, strong} {
			rows.checkVerdict(t, 15, data, unknown)
			verdictCase{
				name: fmt.Sprintf("%q", data), data: []byte(data), unrecognized: true,
				file: file, location: fsys.Location{Local: true}, table: dead, want: unknown,
			}.check(t)
		}
	}
	rows.checkVerdict(t, 16, "a lease", unknown) // TestLeaseIsInTheWay
	rows.checkVerdict(t, 20, "a note", dead)     // TestNotes
	for row := range rows {
		if !rows[row].checked {
			t.Errorf("row %d of docs/liveness.md: no case tests it", row)
		}
	}
}

// verdictCase is a level file, what is known of its owner, and the verdict.
type verdictCase struct {
	row          int // 0: not a record
	name         string
	data         []byte
	owner        lock.Owner
	unrecognized bool
	file         fsys.Witness
	location     fsys.Location
	fails        bool // the question for the location
	noIDs        bool // files cannot be told apart
	self         proc.Identity
	table        proc.State
	want         proc.State
	why          string
	asks         bool
}

// check says in one line what is wrong.
func (c verdictCase) check(t *testing.T) {
	t.Helper()
	c.name = fmt.Sprintf("row %d, %s", c.row, c.name)
	w := newWorld(memfs.Location(c.location))
	w.put("L0", string(c.data))
	if c.noIDs {
		w.Set(memfs.NoIDs())
	}
	switch c.file {
	case strong, weak:
		w.Set(memfs.Witness(strong))
		w.Lock(at("L0"), c.file)
	case freeFile:
		w.Set(memfs.Witness(strong))
	case fsys.Leased, fsys.Ended:
		w.Set(memfs.Leased(), memfs.Location(c.location))
	}
	if c.file == fsys.Leased {
		w.Remove(at("L0"))
		d, err := w.Dir(dirPath)
		require.NoError(t, err)
		_, err = d.Create("L0", c.data)
		require.NoError(t, err)
	}
	if c.fails {
		w.before = failing("locate")
	}
	asked := 0
	l := w.lock(answers{c.self, c.table, &asked, nil}, lock.WithMachine("rack-7"))
	s, err := l.Status()
	require.NoError(t, err, c.name)
	require.Len(t, s.Levels, 1, c.name)
	lv := s.Levels[0]
	var r *lock.RecordError
	switch {
	case lv.State != c.want || lock.Row(lv) != c.row:
		t.Errorf("%s: row %d says %v (%s), want %v", c.name, lock.Row(lv), lv.State, lv.Reason, c.want)
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
