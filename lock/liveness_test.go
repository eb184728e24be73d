package lock_test

import (
	"errors"
	"io/fs"
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dirlock/dirlock/fsys"
	"github.com/dirlock/dirlock/lock"
	"github.com/dirlock/dirlock/proc"
)

// oneFile is a directory that only answers what is in L0.
type oneFile struct {
	memDir
	fsys.Snapshot
	local bool
	mount string
	err   error
}

func (d oneFile) Locate() (fsys.Location, error) {
	return fsys.Location{Local: d.local, Mount: d.mount}, d.err
}
func (d oneFile) List(string) ([]string, error) { return []string{"L0"}, nil }
func (d oneFile) Read(name string) (fsys.Snapshot, error) {
	if name != "L0" {
		return fsys.Snapshot{}, fs.ErrNotExist
	}
	return d.Snapshot, nil
}

// notLocal does not know whether the directory is local.
type notLocal struct{ fsys.Dir }

func (d notLocal) Locate() (fsys.Location, error) {
	loc, err := fsys.Locate(d.Dir)
	return fsys.Location{Mount: loc.Mount}, err
}

// fixedFS finds one directory, whatever the name.
type fixedFS struct{ dir fsys.Dir }

func (f fixedFS) Dir(string) (fsys.Dir, error) { return f.dir, nil }

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

// The truth table, row by row. Each row has what the others would say of it
// against it, where that is possible: a row that is missing or out of order
// changes an answer.
func TestVerdict(t *testing.T) {
	const here, before, nowhere = "boot-2", "boot-1", ""
	tests := []struct {
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
		asks    bool // the process table
		why     string
	}{
		// Same boot, same namespace: the process table knows.
		{name: "no such process", boot: here, ns: "ns-1", table: dead, asks: true, want: dead, why: "so says the table"},
		{name: "the process exists", boot: here, ns: "ns-1", table: alive, asks: true, want: alive, why: "so says the table"},
		{name: "no such process, remote", boot: here, ns: "ns-1", remote: true, table: dead, asks: true, want: dead},
		{name: "the process exists, remote", boot: here, ns: "ns-1", remote: true, table: alive, asks: true, want: alive},
		{name: "the process exists, its file is free", boot: here, ns: "ns-1", witness: true, file: freeFile, table: alive, asks: true, want: alive},
		{name: "no such process, its file is free", boot: here, ns: "ns-1", witness: true, file: freeFile, table: dead, asks: true, want: dead},

		// Its start time cannot be read: alive, unless the witness says otherwise.
		{name: "hidden", boot: here, ns: "ns-1", table: unknown, asks: true, want: alive, why: "so says the table"},
		{name: "hidden, nobody can tell of the file", boot: here, ns: "ns-1", witness: true, table: unknown, asks: true, want: alive},
		{name: "hidden, free file without witness", boot: here, ns: "ns-1", file: freeFile, table: unknown, asks: true, want: alive},
		{name: "hidden, its file is free", boot: here, ns: "ns-1", witness: true, file: freeFile, table: unknown, asks: true, want: dead, why: "nobody holds the kernel's lock"},

		// The kernel vouches for it, whatever else is said.
		{name: "held, no such process", boot: here, ns: "ns-1", witness: true, file: heldFile, table: dead, want: alive, why: "holds the kernel's lock"},
		{name: "held, record without witness", boot: here, ns: "ns-1", file: heldFile, table: dead, want: alive},
		{name: "held, another namespace", boot: here, ns: "ns-7", witness: true, file: heldFile, table: dead, want: alive},
		{name: "held, another boot", boot: before, ns: "ns-1", witness: true, file: heldFile, table: dead, want: alive},
		{name: "held, remote", boot: before, ns: "ns-1", witness: true, file: heldFile, remote: true, table: dead, want: alive},

		// Same boot, another namespace: only the witness knows. The process
		// table is not asked: the PID means somebody else there.
		{name: "container, free", boot: here, ns: "ns-7", witness: true, file: freeFile, table: alive, want: dead, why: "another PID namespace"},
		{name: "container, free, remote, same mount", boot: here, ns: "ns-7", witness: true, file: freeFile, remote: true, mount: "mount-1", table: alive, want: dead, why: "another PID namespace"},
		{name: "container, free, remote, another mount", boot: here, ns: "ns-7", witness: true, file: freeFile, remote: true, mount: "mount-2", table: dead, want: unknown, why: "cannot be seen"},
		{name: "container, free, remote, no mount", boot: here, ns: "ns-7", witness: true, file: freeFile, remote: true, table: dead, want: unknown, why: "cannot be seen"},
		{name: "container, free, local to us only", boot: here, ns: "ns-7", witness: true, file: freeFile, guest: true, table: dead, want: unknown, why: "cannot be seen"},
		{name: "container, free, remote to us only", boot: here, ns: "ns-7", witness: true, file: freeFile, remote: true, export: true, table: dead, want: unknown, why: "cannot be seen"},
		{name: "container, free, remote, nobody knows a mount", boot: here, ns: "ns-7", witness: true, file: freeFile, remote: true, blank: true, table: dead, want: unknown, why: "cannot be seen"},
		{name: "nobody knows a namespace", boot: here, ns: "", blank: true, table: dead, want: unknown, why: "another PID namespace"},
		{name: "another boot, remote to us only", boot: before, ns: "ns-1", remote: true, export: true, table: dead, want: unknown, why: "other machines"},
		{name: "hidden, free, remote, another mount", boot: here, ns: "ns-1", witness: true, file: freeFile, remote: true, mount: "mount-2", table: unknown, asks: true, want: alive},
		{name: "container, nobody can tell", boot: here, ns: "ns-7", witness: true, table: dead, want: unknown, why: "another PID namespace"},
		{name: "container, free file without witness", boot: here, ns: "ns-7", file: freeFile, table: dead, want: unknown},
		{name: "container that does not tell", boot: here, ns: "", file: freeFile, table: dead, want: unknown},

		// Another boot. The namespace has the same number on every machine.
		{name: "another boot, local", boot: before, ns: "ns-1", table: alive, want: dead, why: "before this machine was last started"},
		{name: "another boot, local, free", boot: before, ns: "ns-1", witness: true, file: freeFile, table: alive, want: dead},
		{name: "another boot, remote", boot: before, ns: "ns-1", remote: true, table: dead, want: unknown, why: "other machines"},
		{name: "another boot, remote, free here", boot: before, ns: "ns-1", witness: true, file: freeFile, remote: true, table: dead, want: unknown},
		{name: "another boot, local here but not for the owner", boot: before, ns: "ns-1", guest: true, table: dead, want: unknown, why: "other machines"},
		{name: "another boot, local, nobody can tell of the file", boot: before, ns: "ns-1", witness: true, table: dead, want: unknown},

		// No boot is known: two that are not known are not the same one.
		{name: "no boot, local", boot: nowhere, ns: "ns-1", table: dead, want: unknown, why: "nothing tells"},
		{name: "no boot, local, free", boot: nowhere, ns: "ns-1", witness: true, file: freeFile, table: alive, want: dead, why: "nobody holds the kernel's lock"},
		{name: "no boot, local, free file without witness", boot: nowhere, ns: "ns-1", file: freeFile, table: dead, want: unknown},
		{name: "no boot, remote, free here", boot: nowhere, ns: "ns-1", witness: true, file: freeFile, remote: true, table: dead, want: unknown},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			o := someOwner
			o.Boot, o.Namespace, o.Witness = test.boot, test.ns, test.witness
			o.Local, o.Mount = !test.guest && (!test.remote || test.export), test.mount
			d := oneFile{local: !test.remote, mount: "mount-1", Snapshot: fsys.Snapshot{
				Data: lock.AppendRecord(nil, o), Witness: test.file, ID: fsys.ID{1},
			}}
			self := someOwner.Identity
			self.Boot, self.Namespace, self.PID = here, "ns-1", 99
			if test.blank {
				self.Namespace, d.mount = "", ""
			}
			asked := 0
			check := func(t *testing.T, d fsys.Dir, self proc.Identity, want proc.State, why string, asks bool) {
				t.Helper()
				asked = 0
				s, err := lock.New("d", lock.WithFS(fixedFS{d}), lock.WithProcesses(answers{self, test.table, &asked, nil})).Status()
				require.NoError(t, err)
				lv, ok := s.Owner()
				require.True(t, ok)
				require.NoError(t, lv.Err)
				require.Equal(t, o, lv.Owner)
				require.Equal(t, want, lv.State, lv.Reason)
				require.Contains(t, lv.Reason, why)
				require.NotEmpty(t, lv.Reason)
				require.Equal(t, asks, asked > 0, "the process table was asked")
			}
			check(t, d, self, test.want, test.why, test.asks)

			// A directory that cannot tell is not local.
			if test.remote {
				check(t, notLocal{d}, self, test.want, test.why, test.asks)
				if test.mount == "" { // the question for the mount fails, too
					d := d
					d.local, d.err = true, errInjected
					check(t, d, self, test.want, test.why, test.asks)
				}
			}

			// If we do not know our own boot, nothing is of the same one.
			self.Boot = ""
			want := unknown
			switch {
			case test.file == heldFile:
				want = alive
			case test.witness && test.file == freeFile && !test.remote && !test.guest:
				want = dead
			}
			check(t, d, self, want, "", false)
		})
	}
}

// The verdict on a record that was cut short, which names nobody.
func TestVerdictTorn(t *testing.T) {
	for _, data := range []string{"", "\x00\x00\x00", someRecord[:100], someRecord[:100] + "\x00\x00"} {
		for _, test := range []struct {
			file   fsys.Witness
			remote bool
			want   proc.State
		}{
			{none, false, dead},
			{freeFile, false, dead},
			{heldFile, false, alive},
			{none, true, unknown},
			{freeFile, true, unknown},
			{heldFile, true, alive},
		} {
			d := oneFile{local: !test.remote, Snapshot: fsys.Snapshot{Data: []byte(data), Witness: test.file}}
			asked := 0
			s, err := lock.New("d", lock.WithFS(fixedFS{d}), lock.WithProcesses(answers{state: dead, asked: &asked})).Status()
			require.NoError(t, err)
			lv, _ := s.Owner()
			require.Equal(t, test.want, lv.State, "%q %+v", data, test)
			require.NoError(t, lv.Err)
			require.Zero(t, lv.Owner)
			require.Zero(t, asked)
		}
	}
}

// What is not a record has no owner, so that no evidence can say it is dead.
func TestVerdictForeign(t *testing.T) {
	for _, data := range []string{"hello", strings.Replace(someRecord, "dirlock 1", "dirlock 2", 1), someRecord + "\x00"} {
		for _, file := range []fsys.Witness{none, freeFile, heldFile} {
			d := oneFile{local: true, Snapshot: fsys.Snapshot{Data: []byte(data), Witness: file}}
			asked := 0
			l := lock.New("d", lock.WithFS(fixedFS{d}), lock.WithProcesses(answers{state: dead, asked: &asked}))
			s, err := l.Status()
			require.NoError(t, err)
			lv, _ := s.Owner()
			require.Equal(t, unknown, lv.State)
			require.Zero(t, lv.Owner)
			var r *lock.RecordError
			require.ErrorAs(t, lv.Err, &r)
			require.Equal(t, filepath.Join("/mem", "L0"), r.Path)
			require.Zero(t, asked)
			ok, err := l.TryLock()
			require.False(t, ok)
			require.ErrorAs(t, err, &r)
		}
	}
}

// Unknown is not dead, and neither is a process table that does not work.
func TestVerdictDecides(t *testing.T) {
	for _, state := range []proc.State{alive, unknown} {
		w := newWorld()
		w.set("s")
		asked := 0
		self, _ := w.live.Self()
		l := lock.New("d", lock.WithFS(&w.memFS), lock.WithProcesses(answers{self, state, &asked, nil}))
		before := w.snapshot()
		mustTry(t, l, false)
		require.Equal(t, 1, asked)
		require.Equal(t, before, w.snapshot())
	}

	w := newWorld()
	w.set("s")
	asked := 0
	l := lock.New("d", lock.WithFS(&w.memFS), lock.WithProcesses(answers{state: dead, asked: &asked, err: errInjected}))
	before := w.snapshot()
	ok, err := l.TryLock()
	require.False(t, ok)
	require.ErrorIs(t, err, errInjected)
	require.Equal(t, before, w.snapshot())
	w.rm("L0")
	ok, err = l.TryLock()
	require.False(t, ok)
	require.ErrorIs(t, err, errInjected)
	require.Empty(t, w.names())
}

// Without any knowledge of its own the process must not make a record that
// nobody can judge.
func TestOwnPID(t *testing.T) {
	for _, pid := range []int{0, -1} {
		var m memFS
		asked := 0
		l := lock.New("d", lock.WithFS(&m), lock.WithProcesses(answers{self: proc.Identity{PID: pid}, asked: &asked}))
		ok, err := l.TryLock()
		require.False(t, ok)
		require.Error(t, err)
		require.Empty(t, m.names())
	}
}

// A process table that breaks its promises must not lead to a record that
// nobody can judge, either.
func TestOwnRecordUnreadable(t *testing.T) {
	tables := map[string]proc.Identity{
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
			var m memFS
			asked := 0
			l := lock.New("d", lock.WithFS(&m), lock.WithProcesses(answers{self: self, asked: &asked}))
			ok, err := l.TryLock()
			require.False(t, ok)
			require.ErrorIs(t, err, lock.ErrNotRecord)
			require.Empty(t, m.names())
		})
	}
}

// A record is as long as can be read, or it is not made.
func TestOwnRecordAtTheLimit(t *testing.T) {
	made, refused := 0, 0
	for n := lock.MaxRecord - 200; n < lock.MaxRecord; n++ {
		var m memFS
		asked := 0
		self := proc.Identity{PID: 1, Boot: strings.Repeat("x", n)}
		now := time.Date(2026, 1, 1, 0, 0, 0, n%2, time.UTC)
		l := lock.New("d", lock.WithFS(&m), lock.WithProcesses(answers{self: self, asked: &asked}), lock.WithClock(func() time.Time { return now }))
		if ok, err := l.TryLock(); ok {
			made++
			_, err := lock.ParseRecord(m.files["L0"].data)
			require.NoError(t, err)
			require.NoError(t, l.Unlock())
		} else {
			refused++
			require.ErrorIs(t, err, lock.ErrNotRecord)
		}
		require.Empty(t, m.names())
	}
	require.Greater(t, made, 20)
	require.Greater(t, refused, 20)
}

func TestRandomIDs(t *testing.T) {
	w := newWorld()
	p := w.procs.Start("p")
	l := lock.New("d", lock.WithFS(&w.memFS), lock.WithProcesses(p), lock.WithRand(badReader{}))
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
