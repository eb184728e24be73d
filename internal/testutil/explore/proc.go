package explore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"time"

	"github.com/dirlock/dirlock/fsys"
	"github.com/dirlock/dirlock/proc"
)

// A Program is what one thread of an invented process does. Run is ordinary
// code that uses the code under test with what Proc gives it: a file system, a
// process table, a clock and a source of randomness. It may keep nothing
// outside, and must do the same again when it gets the same answers: it is run
// many times over.
type Program struct {
	Name string
	Run  func(p *Proc)
}

// Proc is a thread of an invented process, as its program sees it.
type Proc struct {
	yield func(*call) bool
	c     call
	a     answer
	marks []mark
	self  proc.Identity
	mount string
	rules Rules
	draws int
	nonce [16]byte  // the last one drawn
	fresh bool      // … and not used yet
	fixed *[16]byte // drawn instead
	salt  byte
	paus  uint8 // pauses in this call
	calls string
	left  int
	ended bool
}

// callKind is a kind of operation that a thread asks for.
type callKind uint8

const (
	opNone      callKind = iota
	opDone               // the program has ended
	opCreate             // name
	opRead               // name
	opReplace            // name, name2
	opRemove             // name
	opList               //
	opIntact             // file, name
	opClose              // file
	opProbe              // id
	opPause              // beat, watched
	opNotify             // name
	opNotifyP            // id
	opSelf               //
	opWitnesses          //
	opLocal              //
	opPrepare            //
	opHolds              // id of a record
	opSwap               // name, old, data
	opRemoveIf           // file, name
	opNote               // name, data: that of a file that was read
	opHear               // name: read a note
	opForget             // name: remove a note
	opMkdir              // name
	opOpenSub            // name
	opRmdir              // name
	opListSub            // sub
	opCreateSub          // sub, name: of a new file
	opReadSub            // sub, name: of a file that was listed
	opRemoveSub          // sub, name
	opNotifySub          // sub, name
	opChoose             //
)

var opNames = [...]string{"", "end", "create", "read", "replace", "remove", "list", "intact", "close", "probe", "pause", "watch", "watch", "self", "witnesses", "local", "prepare", "hold", "swap", "remove if", "note", "read note", "remove note", "mkdir", "open", "rmdir", "list", "create", "read", "remove", "watch", "choose"}

// call is an operation that a thread is about to do.
type call struct {
	kind        callKind
	name, name2 string
	data        []byte
	old         fsys.Snapshot
	file        *procFile
	sub         *procSub
	id          proc.Identity
	record      string // part of one
	beat        time.Duration
	changed     bool // the pause ends when a file event comes
	ended       bool // … when a process event comes
}

// answer is what an operation returned.
type answer struct {
	err   error
	snap  fsys.Snapshot
	yes   bool
	names []string
	state proc.State
	why   string
	file  *procFile
	sub   *procSub
}

// mark is something that a program tells of itself. It takes no step: it comes
// along with the operation before it.
type mark struct {
	kind markKind
	call string
	left int
	text string
}

type markKind uint8

const (
	markCall     markKind = iota + 1 // a call begins
	markPause                        // the call starts again, as if anew
	markAcquired                     // it holds the lock now
	markRefused                      // the call has answered: somebody else has it
	markFailed                       // the call has returned an error, and the injected one is in it
	markError                        // the call has returned another error
	markReleased                     // Unlock has succeeded
	markLost                         // Unlock says that the lock was lost
	markNothing                      // the call had nothing to do
	markWrong                        // the program says that an answer is wrong
)

// Call says that a call begins that may acquire or release the lock, or only
// look at it. The thread must be between two calls, with no other local state
// than the names given here, the number of rounds left, and the files that it
// has not closed: what it has seen before is forgotten.
func (p *Proc) Call(name string, left int) {
	p.calls, p.left, p.paus = name, left, 0
	p.marks = append(p.marks, mark{kind: markCall, call: name, left: left})
}

// Names of calls that mean something to the properties.
const (
	TryLock  = "TryLock"
	Lock     = "Lock"
	Unlock   = "Unlock"
	TryRLock = "TryRLock"
	RLock    = "RLock"
	RUnlock  = "RUnlock"
	Status   = "Status"
	Break    = "Break"
)

// Acquired says that the call has acquired the lock.
func (p *Proc) Acquired() { p.mark(markAcquired, "") }

// Refused says that the call has answered that somebody else has the lock.
func (p *Proc) Refused() { p.mark(markRefused, "") }

// Failed says that the call has returned an error; injected tells whether it
// matches [ErrInjected].
func (p *Proc) Failed(err error, injected bool) {
	if injected {
		p.mark(markFailed, err.Error())
		return
	}
	p.mark(markError, err.Error())
}

// Released says that Unlock has succeeded.
func (p *Proc) Released() { p.mark(markReleased, "") }

// Lost says that Unlock has said that the lock was lost.
func (p *Proc) Lost() { p.mark(markLost, "") }

// Nothing says that the call had nothing to do, and returned.
func (p *Proc) Nothing() { p.mark(markNothing, "") }

// Compared says that the program compares the answers of this call and of the
// one before, and does not care for the lock.
func (p *Proc) Compared() { p.mark(markNothing, "") }

// Wrong says that an answer is not what the program must get.
func (p *Proc) Wrong(format string, args ...any) {
	p.mark(markWrong, fmt.Sprintf(format, args...))
}

func (p *Proc) mark(k markKind, text string) { p.marks = append(p.marks, mark{kind: k, text: text}) }

// FS returns the file system.
func (p *Proc) FS() fsys.FS { return procFS{p} }

// Table returns the process table.
func (p *Proc) Table() proc.Table {
	if p.rules.Events {
		return notifyTable{procTable{p}}
	}
	return procTable{p}
}

// Now is a clock that stands still.
func (p *Proc) Now() time.Time { return time.Unix(1_700_000_000, 0).UTC() }

// Rand returns a source in which no 16 bytes repeat, and anything shorter is
// zero.
func (p *Proc) Rand() io.Reader { return procRand{p} }

type procRand struct{ p *Proc }

func (r procRand) Read(b []byte) (int, error) {
	clear(b)
	if len(b) == 16 {
		r.p.draws++
		b[0] = 0xa0 | r.p.salt
		binary.BigEndian.PutUint32(b[4:], uint32(r.p.self.PID))
		copy(b[8:12], r.p.self.Start)
		binary.BigEndian.PutUint32(b[12:], uint32(r.p.draws))
		if r.p.fixed != nil {
			copy(b, r.p.fixed[:])
		}
		copy(r.p.nonce[:], b)
		r.p.fresh = true
	}
	return len(b), nil
}

// Pause waits. It is a step of the schedule like any other. It returns the
// error of a context that ends during it.
func (p *Proc) Pause(ctx context.Context, d time.Duration, changed, ended <-chan struct{}) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	p.paus++
	if p.forgetful() {
		p.marks = append(p.marks, mark{kind: markPause})
	}
	return p.do(call{kind: opPause, beat: d, changed: changed != nil, ended: ended != nil}).err
}

// Holds tells whether the process holds a file with a record that contains id.
func (p *Proc) Holds(id string) bool {
	return !p.rules.Holds || p.do(call{kind: opHolds, record: id}).yes
}

// forgetful tells whether the call in progress forgets what it has seen when it
// pauses. That of TryLock does: it starts again, and only counts.
func (p *Proc) forgetful() bool { return forgetful(p.calls) }

func forgetful(call string) bool { return call == TryLock || call == TryRLock }

// Choose returns either answer: the search goes both ways.
func (p *Proc) Choose() bool { return p.do(call{kind: opChoose}).yes }

// stopped unwinds a thread that runs no further.
type stopped struct{}

func (p *Proc) do(c call) *answer {
	if p.ended {
		panic(stopped{})
	}
	p.c = c
	if !p.yield(&p.c) {
		p.ended = true
		panic(stopped{})
	}
	return &p.a
}

// start begins to run a program. The first call of next returns what it wants
// to do first. Before each later one, p.a has the answer to the operation.
func start(prog *Program, p *Proc) (next func() (*call, bool), stop func()) {
	return iter.Pull(func(yield func(*call) bool) {
		p.yield = yield
		defer func() {
			if r := recover(); r != nil && r != (stopped{}) {
				panic(r)
			}
		}()
		prog.Run(p)
		p.do(call{kind: opDone})
	})
}

// dirPath is the path of the directory that all is about.
const dirPath = "/dir"

type procFS struct{ p *Proc }

func (f procFS) Dir(string) (fsys.Dir, error) {
	switch d := procDir(f); {
	case f.p.rules.Leases:
		return leaseDir{notifyDir{d}}, nil
	case f.p.rules.Prepares:
		return prepareDir{notifyDir{d}}, nil
	case f.p.rules.Events:
		return notifyDir{d}, nil
	default:
		return d, nil
	}
}

type procDir struct{ p *Proc }

func (d procDir) Path() string { return dirPath }

func (d procDir) Create(name string, data []byte) (fsys.File, error) {
	if isNote(name) {
		a := d.p.do(call{kind: opNote, name: name, data: data})
		return noteFile{}, a.err
	}
	a := d.p.do(call{kind: opCreate, name: name, data: data})
	if a.err != nil {
		return nil, a.err
	}
	a.file.p = d.p
	return a.file, nil
}

func (d procDir) Read(name string) (fsys.Snapshot, error) {
	kind := opRead
	if isNote(name) {
		kind = opHear
	}
	a := d.p.do(call{kind: kind, name: name})
	return a.snap, a.err
}

func (d procDir) Replace(oldname, newname string) error {
	if d.p.rules.NoReplace {
		return &fs.PathError{Op: "replace", Path: dirPath + "/" + newname, Err: errors.ErrUnsupported}
	}
	return d.p.do(call{kind: opReplace, name: oldname, name2: newname}).err
}

func (d procDir) Remove(name string) error {
	kind := opRemove
	if isNote(name) {
		kind = opForget
	}
	return d.p.do(call{kind: kind, name: name}).err
}

func (d procDir) List(string) ([]string, error) {
	a := d.p.do(call{kind: opList})
	return a.names, a.err
}

func (d procDir) Witnesses() (fsys.Witness, error) {
	if d.p.rules.Leases {
		return fsys.Leased, nil
	}
	yes := d.p.rules.Witness
	if d.p.rules.Faults {
		a := d.p.do(call{kind: opWitnesses})
		if a.err != nil {
			return fsys.NoWitness, a.err
		}
		yes = a.yes
	}
	switch {
	case !yes:
		return fsys.NoWitness, nil
	case d.p.rules.Weak:
		return fsys.HeldWeakly, nil
	}
	return fsys.Held, nil
}

func (d procDir) Locate() (fsys.Location, error) {
	local := !d.p.rules.Network
	if d.p.rules.Faults || d.p.rules.Exports {
		a := d.p.do(call{kind: opLocal})
		if a.err != nil {
			return fsys.Location{}, a.err
		}
		local = a.yes
	}
	return d.p.rules.location(local, d.p.mount), nil
}

// location says where the directory is.
func (r *Rules) location(local bool, mount string) fsys.Location {
	loc := fsys.Location{Local: local, Type: "nfs", Mount: mount}
	switch {
	case local && r.Views:
		loc.Type = "overlay"
	case local:
		loc.Type, loc.Direct = "ext4", true
	}
	return loc
}

type notifyDir struct{ procDir }

func (d notifyDir) Watch(name string) (<-chan struct{}, func(), error) {
	if a := d.p.do(call{kind: opNotify, name: name}); a.err != nil {
		return nil, nil, a.err
	}
	return make(chan struct{}), func() {}, nil
}

type prepareDir struct{ notifyDir }

func (d prepareDir) Prepare(int) (fsys.Prepared, error) {
	if a := d.p.do(call{kind: opPrepare}); a.err != nil {
		return nil, a.err
	}
	return prepared(d), nil
}

// prepared is a file that was made ready. To create it is to create a file.
type prepared struct{ notifyDir }

func (f prepared) CreateIn(_ fsys.Dir, name string, data []byte) (fsys.File, error) {
	return f.Create(name, data)
}

func (prepared) Close() error { return nil }

type procFile struct {
	p    *Proc
	real fsys.File // in a live run
}

func (f *procFile) Intact(name string) (bool, error) {
	a := f.p.do(call{kind: opIntact, file: f, name: name})
	return a.yes, a.err
}

func (f *procFile) Close() error { return f.p.do(call{kind: opClose, file: f}).err }

type procTable struct{ p *Proc }

func (t procTable) Self() (proc.Identity, error) {
	if t.p.rules.Faults {
		if a := t.p.do(call{kind: opSelf}); a.err != nil {
			return proc.Identity{}, a.err
		}
	}
	return t.p.self, nil
}

func (t procTable) Probe(id proc.Identity) (proc.State, string) {
	a := t.p.do(call{kind: opProbe, id: id})
	return a.state, a.why
}

type notifyTable struct{ procTable }

func (t notifyTable) Notify(id proc.Identity) (<-chan struct{}, func(), error) {
	if a := t.p.do(call{kind: opNotifyP, id: id}); a.err != nil {
		return nil, nil, a.err
	}
	return make(chan struct{}), func() {}, nil
}
