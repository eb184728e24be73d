package explore

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dirlock/dirlock/fsys"
	"github.com/dirlock/dirlock/proc"
)

// What a program does next depends on nothing but the answers that it has got
// so far. So the real code is run once for every history of answers that a
// thread can have, alone, and what it does next is written down: that is its
// reaction. The search then goes through the interleavings of the reactions,
// which takes no more than looking them up.
//
// Answers are written down without names: "a record that I have not seen, of a
// process that I have not seen" instead of bytes. That makes threads that are
// alike interchangeable, and it is right only if the code does nothing with a
// name but compare it; [Config.Verify] runs every history again with other
// names.

// ErrInjected is the error of an operation that was made to fail.
var ErrInjected = errors.New("injected error")

// result is an answer without names: a kind, and what the kind needs.
type result uint32

const (
	resOK      result = iota + 1
	resNo             // Intact: it is not
	resExist          // Create
	resGone           // there is no such file
	resErr            // injected
	resErrDone        // injected, but the operation has taken effect
	resKnown          // Read: the file that binding rel stands for
	resRecord         // Read: a file not seen before, with a record
	resTorn           // … with an incomplete record
	resForeign        // … that no version of the code wrote
	resCopy           // … with the record of another one, that of binding rel
	resAlive
	resDead
	resUnknown
	resNames // List: the levels, as bits
)

func (r result) kind() result  { return r & 0xf }
func (r result) rel() int      { return int(r >> 4 & 0xff) }
func (r result) place() int    { return int(r >> 12 & 3) }
func (r result) witness() int  { return int(r >> 14 & 3) }
func (r result) isFresh() bool { k := r.kind(); return k >= resRecord && k <= resCopy }

// The relation of a record's owner to what the reader knows.
const (
	relSelf    = 0  // the reader's own process
	relSelfPID = 1  // an earlier process that had the reader's PID
	relNew     = 2  // nobody that the reader has seen
	relOwner   = 8  // + k: the owner of the file of binding k
	relPID     = 64 // + k: another process with the PID of that owner
)

// op is an operation without names. Operations on files that are known, and on
// processes, have the number of a binding.
type op struct {
	kind    callKind
	a, b, c int8
}

// A node is a point between two operations of a program.
type node struct {
	op   op
	edge []edge
	// Where the code got here first.
	parent int32
	via    result

	prog   uint8
	idle   bool   // between two calls
	call   string // the call that it is in, or about to make
	left   int    // rounds
	pauses uint8
	nb     int    // bindings
	own    uint32 // bindings that are files of its own
	subs   uint8  // directories that it has open
	others []history
	beat   time.Duration // of a pause
}

// history is another way to a node at which the past is forgotten.
type history struct {
	parent int32
	via    result
}

type edge struct {
	res    result
	to     int32
	marks  []mark
	forget bool
	keep   []int8 // bindings that are kept, if others are forgotten
}

// reactions is what the programs are known to do.
type reactions struct {
	rules  Rules
	progs  []*Program
	roots  []int32
	nodes  []node
	resets map[string]int32
	verify bool

	runs     int // of programs
	records  map[recordKey][]byte
	recorder *Program
}

type recordKey struct {
	id    proc.Identity
	facts facts
	nonce string
}

// facts are what a record says of the directory.
type facts struct {
	wide  bool
	mount string
}

// The mount that a thread that runs alone uses, and another one.
const (
	ownMount   = "2049"
	otherMount = "2050"
)

func newReactions(rules Rules, recorder *Program, verify bool) *reactions {
	return &reactions{rules: rules, resets: map[string]int32{}, verify: verify, records: map[recordKey][]byte{}, recorder: recorder}
}

// program returns the number of a program and its first node.
func (rs *reactions) program(p *Program) (int, int32) {
	for i, q := range rs.progs {
		if q == p {
			return i, rs.roots[i]
		}
	}
	i := len(rs.progs)
	rs.progs = append(rs.progs, p)
	e, n := rs.run(i, nil, 0, rs.verify)
	root := rs.arrive(&e, n, -1, 0)
	rs.roots = append(rs.roots, root)
	return i, root
}

// next returns the reaction of a thread at a node to a result.
func (rs *reactions) next(at int32, r result) *edge {
	n := &rs.nodes[at]
	for i := range n.edge {
		if n.edge[i].res == r {
			return &n.edge[i]
		}
	}
	e, to := rs.run(int(n.prog), append(rs.path(at), step{at, r}), 0, rs.verify)
	if rs.verify {
		rs.check(at, r, &e, &to)
	}
	e.res = r
	e.to = rs.arrive(&e, to, at, r)
	n = &rs.nodes[at]
	n.edge = append(n.edge, e)
	return &n.edge[len(n.edge)-1]
}

// arrive finds or makes the node that an edge leads to.
func (rs *reactions) arrive(e *edge, n node, from int32, via result) int32 {
	n.parent, n.via = from, via
	if !e.forget {
		rs.nodes = append(rs.nodes, n)
		return int32(len(rs.nodes) - 1)
	}
	key := fmt.Sprint(n.prog, n.call, n.left, n.pauses, n.nb, n.own, n.subs, n.op, n.idle)
	at, ok := rs.resets[key]
	if !ok {
		at = int32(len(rs.nodes))
		rs.nodes = append(rs.nodes, n)
		rs.resets[key] = at
	} else if rs.verify && len(rs.nodes[at].others) < 4 {
		rs.nodes[at].others = append(rs.nodes[at].others, history{from, via})
	}
	return at
}

// step is one answer on the way of a thread.
type step struct {
	at  int32
	res result
}

// path returns how the code got to a node first.
func (rs *reactions) path(at int32) []step {
	var p []step
	for n := &rs.nodes[at]; n.parent >= 0; n = &rs.nodes[at] {
		p = append(p, step{n.parent, n.via})
		at = n.parent
	}
	slices.Reverse(p)
	return p
}

// check runs a new history again, as it was and with other names.
func (rs *reactions) check(at int32, r result, e *edge, to *node) {
	path := append(rs.path(at), step{at, r})
	rs.same(path, 0, e, to, "the code is not deterministic")
	rs.same(path, 5, e, to, "the code does more with names than compare them")
}

func (rs *reactions) same(path []step, salt byte, e *edge, to *node, what string) {
	e2, n2 := rs.run(int(to.prog), path, salt, false)
	if n2.op != to.op || n2.idle != to.idle || n2.call != to.call || n2.pauses != to.pauses || e2.forget != e.forget ||
		len(e2.keep) != len(e.keep) || !sameMarks(e2.marks, e.marks) {
		panic(fmt.Sprintf("explore: %s: %v instead of %v, %v instead of %v", what, n2.op, to.op, e2.marks, e.marks))
	}
}

// checkForgotten runs every history again with other pasts, of which the search
// assumes that they make no difference.
func (rs *reactions) checkForgotten() {
	for at := range rs.nodes {
		for i := range rs.nodes[at].edge {
			e := &rs.nodes[at].edge[i]
			// Where did the code begin to remember?
			begin := int32(at)
			tail := []step{{begin, e.res}}
			for !rs.isReset(begin) && rs.nodes[begin].parent >= 0 {
				n := &rs.nodes[begin]
				tail = append(tail, step{n.parent, n.via})
				begin = n.parent
			}
			slices.Reverse(tail)
			for _, h := range rs.nodes[begin].others {
				if h.parent >= 0 {
					past := append(rs.path(h.parent), step{h.parent, h.via})
					rs.same(append(past, tail...), 0, e, &rs.nodes[e.to], "the code remembers what it was assumed to forget")
				}
			}
		}
	}
}

func (rs *reactions) isReset(at int32) bool {
	n := &rs.nodes[at]
	return n.idle || n.op.kind == opPause && forgetful(n.call)
}

func sameMarks(a, b []mark) bool {
	return slices.EqualFunc(a, b, func(x, y mark) bool { return x.kind == y.kind && x.call == y.call && x.left == y.left })
}

// known is what a binding stands for in a run of one thread alone.
type known struct {
	file   *procFile // own
	data   []byte
	id     proc.Identity
	uid    uint64 // of the file
	own    bool
	gone   bool   // closed
	name   string // in a directory in the directory
	unread bool   // it was listed only
	nonce  [16]byte
}

// run runs a program alone, with the given answers, and returns what it does
// after the last one. A program that does something else than before, on the
// way, is not deterministic: run panics.
func (rs *reactions) run(prog int, path []step, salt byte, verify bool) (e edge, n node) {
	rs.runs++
	s := &solo{rs: rs, salt: salt, unread: none}
	s.p = &Proc{rules: rs.rules, salt: salt, self: s.identity(0), mount: ownMount}
	next, stop := start(rs.progs[prog], s.p)
	defer stop()
	for i := 0; ; i++ {
		c, ok := next()
		if !ok {
			panic("explore: the program ended early")
		}
		// A node at which the past is forgotten stands for other histories,
		// whose bindings have other numbers.
		e = edge{marks: slices.Clone(s.p.marks)}
		idle := false
		for j, m := range s.p.marks {
			if m.kind == markCall {
				e.forget = true
				idle = j == len(s.p.marks)-1
			}
			if m.kind == markPause {
				e.forget = true
			}
		}
		if c.kind == opDone {
			e.forget, idle = true, true
		}
		if e.forget {
			e.keep = s.forget()
		}
		s.p.marks = s.p.marks[:0]
		o := s.symbol(c)
		if i == len(path) {
			n = node{prog: uint8(prog), op: o, idle: idle, call: s.p.calls, left: s.p.left, pauses: s.p.paus, nb: len(s.b), subs: s.openSubs()}
			if o.kind == opPause {
				n.beat = c.beat
			}
			for k, b := range s.b {
				if b.own {
					n.own |= 1 << k
				}
			}
			return e, n
		}
		if want := rs.nodes[path[i].at].op; o != want && rs.nodes[path[i].at].prog == uint8(prog) {
			panic(fmt.Sprintf("explore: the code is not deterministic: after the same answers it does %v, and did %v before", o, want))
		}
		s.answer(c, path[i].res)
	}
}

// solo is the world of a thread that runs alone: it has a name for everything
// that the answers speak of.
type solo struct {
	rs      *reactions
	p       *Proc
	salt    byte
	b       []known
	subs    []*procSub
	segment int
	people  int
	files   uint64
	unread  int // the binding of a file that was listed, and is read now; or none
}

// identity invents the n-th process that the thread has seen; 0 is its own.
func (s *solo) identity(n int) proc.Identity {
	pid := 100 + n
	if s.salt != 0 {
		pid = 9000 - 7*n
	}
	return proc.Identity{PID: pid, Start: strconv.Itoa(4000 + 10*n + int(s.salt)), Boot: "boot", Namespace: "ns", Host: "host", Command: "cmd"}
}

// forget drops all bindings but the files of its own that are still open.
func (s *solo) forget() []int8 {
	keep := []int8{}
	var b []known
	for k := range s.b {
		if s.b[k].own && !s.b[k].gone {
			keep = append(keep, int8(k))
			b = append(b, s.b[k])
		}
	}
	s.b = b
	s.closeSubs()
	s.segment++
	return keep
}

func level(name string) int8 {
	n, err := strconv.Atoi(strings.TrimPrefix(strings.TrimSuffix(name, noteSuffix), "L"))
	if err != nil || n < 0 || n >= maxLevels {
		panic("explore: " + name + " is not a level file, or too high a one")
	}
	return int8(n)
}

func levelName(n int) string { return "L" + strconv.Itoa(n) }

// symbol takes the names out of an operation.
func (s *solo) symbol(c *call) op {
	o := op{kind: c.kind}
	switch c.kind {
	case opCreate:
		o.a, o.b = level(c.name), s.newRecord(c)
	case opSwap:
		o.a, o.c = level(c.name), s.newRecord(c)
		o.b = int8(slices.IndexFunc(s.b, func(b known) bool { return b.uid == c.old.ID[1] }))
	case opRead, opRemove, opNotify, opHear, opForget:
		o.a = level(c.name)
	case opNote:
		o.a = level(c.name)
		o.b = int8(slices.IndexFunc(s.b, func(b known) bool { return bytes.Equal(b.data, c.data) }))
		if o.b < 0 {
			panic("explore: a note is no copy of a record that was read")
		}
	case opMkdir, opOpenSub, opRmdir, opListSub, opCreateSub, opReadSub, opRemoveSub, opNotifySub:
		o = s.symbolSub(c)
	case opReplace:
		o.a, o.b = level(c.name), level(c.name2)
	case opIntact, opRemoveIf, opClose:
		o.a = s.find(c.file)
		if c.kind != opClose {
			o.b = s.intactName(o.a, c.name)
		}
	case opProbe, opNotifyP:
		o.a = s.findID(c.id)
	case opHolds:
		o.a = int8(slices.IndexFunc(s.b, func(b known) bool { return strings.Contains(string(b.data), c.record) }))
	}
	return o
}

// newRecord checks a record that is created, and says what is special about it.
func (s *solo) newRecord(c *call) (special int8) {
	wide := s.rs.rules.Network
	if string(c.data) != string(s.rs.record(s.p.self, facts{wide, s.p.mount}, s.p.nonce)) {
		// The directory was another one when it was asked for.
		wide = !wide
		if !s.rs.rules.Exports || string(c.data) != string(s.rs.record(s.p.self, facts{wide, s.p.mount}, s.p.nonce)) {
			panic("explore: what is created is not the record that such a process creates")
		}
	}
	if wide {
		special |= createWide
	}
	if !s.p.fresh {
		special |= createOld
	}
	s.p.fresh = false
	return special
}

func (s *solo) find(f *procFile) int8 {
	for k := range s.b {
		if s.b[k].file == f {
			return int8(k)
		}
	}
	panic("explore: the code uses a file that it had closed")
}

// Whom a probe asks for.
const (
	probeSelf   = -1
	probeNobody = -2 // a process that no binding knows of
)

func (s *solo) findID(id proc.Identity) int8 {
	if id.PID == s.p.self.PID && id.Start == s.p.self.Start {
		return probeSelf
	}
	for k := range s.b {
		if !s.b[k].own && s.b[k].id.PID == id.PID && s.b[k].id.Start == id.Start {
			return int8(k)
		}
	}
	return probeNobody
}

// answer makes the answer of a result.
func (s *solo) answer(c *call, r result) {
	s.p.a = answer{}
	a := &s.p.a
	if s.answerSub(c, r) {
		return
	}
	switch r.kind() {
	case resErr:
		a.err = pathError(c, ErrInjected)
		return
	case resErrDone:
		a.err = pathError(c, ErrInjected)
		return
	case resGone:
		a.err = pathError(c, fs.ErrNotExist)
		return
	case resExist:
		a.err = pathError(c, fs.ErrExist)
		return
	}
	switch c.kind {
	case opCreate, opSwap:
		a.file = &procFile{}
		s.b = append(s.b, known{file: a.file, data: c.data, id: s.p.self, own: true, uid: s.fileID()})
	case opRead:
		a.snap = s.read(r)
	case opHear:
		if a.snap.Data = []byte(oldNote); r.kind() == resKnown {
			a.snap.Data = slices.Clone(s.b[r.rel()].data)
		}
	case opIntact, opRemoveIf, opWitnesses, opLocal, opHolds, opChoose:
		a.yes = r.kind() == resOK
	case opClose:
		s.b[s.find(c.file)].gone = true
	case opProbe:
		switch r.kind() {
		case resAlive:
			a.state, a.why = proc.Alive, "it runs"
		case resDead:
			a.state, a.why = proc.Dead, "it does not run"
		default:
			a.state, a.why = proc.Unknown, "it cannot be told"
		}
	case opList:
		for l := range maxLevels {
			if r>>4>>l&1 != 0 {
				a.names = append(a.names, levelName(l))
			}
			if r>>notesInList>>l&1 != 0 {
				a.names = append(a.names, levelName(l)+noteSuffix)
			}
		}
	}
}

func (s *solo) fileID() uint64 { s.files++; return s.files }

func (s *solo) read(r result) fsys.Snapshot {
	if r.isFresh() {
		k := s.unread
		if k < 0 {
			k = len(s.b)
			s.b = append(s.b, known{uid: s.fileID()})
			s.b[k].nonce = s.nonce(k)
		}
		b := s.b[k]
		b.unread = false
		switch r.kind() {
		case resCopy:
			b.data, b.id = s.b[r.rel()].data, s.b[r.rel()].id
		case resTorn:
			b.data = []byte(tornData)
		case resForeign:
			b.data = []byte(foreignData)
		case resRecord:
			s.people++
			b.id = s.identity(s.people)
			switch rel := r.rel(); {
			case rel == relSelf:
				b.id = s.p.self
			case rel == relSelfPID:
				b.id.PID = s.p.self.PID
			case rel >= relPID:
				b.id.PID = s.b[rel-relPID].id.PID
			case rel >= relOwner:
				b.id = s.b[rel-relOwner].id
			}
			switch r.place() {
			case placeNamespace:
				b.id.Namespace = "other"
			case placeBoot:
				b.id.Boot = "other"
			}
			f := facts{r&factWide != 0, ownMount}
			if r&factMount != 0 {
				f.mount = otherMount
			}
			b.data = s.rs.record(b.id, f, b.nonce)
		}
		s.b[k] = b
		return s.snapshot(k, r)
	}
	return s.snapshot(r.rel(), r)
}

func (s *solo) snapshot(k int, r result) fsys.Snapshot {
	w := fsys.Witness(r.witness())
	switch {
	case r&factLeased != 0:
		w = fsys.Leased
	case r&factEnded != 0:
		w = fsys.Ended
	}
	return fsys.Snapshot{Data: slices.Clone(s.b[k].data), Witness: w, ID: fsys.ID{1, s.b[k].uid, 1}}
}

// What stands in files that are not whole records.
const (
	tornData    = "dirlock 1\npid 4"
	foreignData = "4711\n"
)

// record returns what a process writes into a level file: it asks the code
// under test.
func (rs *reactions) record(id proc.Identity, f facts, nonce [16]byte) []byte {
	key := recordKey{id, f, string(nonce[:])}
	if data, ok := rs.records[key]; ok {
		return data
	}
	rules := rs.rules
	rules.Faults, rules.Exports, rules.Network = false, false, f.wide
	p := &Proc{rules: rules, self: id, mount: f.mount}
	p.fixed = &nonce
	next, stop := start(rs.recorder, p)
	defer stop()
	for {
		c, ok := next()
		if !ok || c.kind == opDone {
			panic("explore: the program creates no record in an empty directory")
		}
		if c.kind == opCreate {
			rs.records[key] = slices.Clone(c.data)
			return rs.records[key]
		}
		p.a = answer{}
		if c.kind == opRead || c.kind == opOpenSub {
			p.a.err = pathError(c, fs.ErrNotExist)
		}
	}
}

func pathError(c *call, err error) error {
	if c.kind == opProbe || c.kind == opSelf {
		return err
	}
	return &fs.PathError{Op: opNames[c.kind], Path: dirPath + "/" + c.name, Err: err}
}
