package explore

import (
	"fmt"
	"math/bits"
	"strings"
	"time"
)

// Bounds of what a state has room for. Reaching one is a panic, never a
// silently smaller search.
const (
	maxLevels   = 12
	maxThreads  = 6 // with the lone one
	maxFiles    = 30
	maxBindings = 28
	maxFlights  = 2
)

// Rules are what the invented world is like.
type Rules struct {
	// Witness: the kernel vouches for the owners of files, to processes of the
	// same machine that use the same mount.
	Witness bool
	// Weak: … with a lock that every process can take that can read the file.
	Weak bool
	// Network: other machines can reach the directory.
	Network bool
	// NoReplace: the file system cannot replace a file in one step.
	NoReplace bool
	// Faults: one operation of a run may fail.
	Faults bool
	// Events: the file system and the process table have them.
	Events bool
	// Waits: programs wait in [Proc.Pause] for others, so that what they have
	// seen before it is not forgotten.
	Waits bool
	// Held: check that nobody is told "held" for no reason. It costs states.
	Held bool
	// Meddle is what somebody outside the protocol may do, Config.Meddles times.
	Meddle Meddling
	// Views: one file system is mounted more than once, and the kernel takes a
	// file of one mount for another file than the same of another mount. (If
	// not, the mounts have no file in common.)
	Views bool
	// LateCreate: with Faults, a Create may fail after it took effect. The file
	// is there, and its creator has let go of it.
	LateCreate bool
	// FalseCreate: once, a Create for which the name is taken seems to succeed.
	// Nothing can be promised then: see the searches that must break.
	FalseCreate bool
	// Prepares: files can be made ready before they are created.
	Prepares bool
	// Holds: a process knows the files that it holds ([Proc.Holds]).
	Holds bool
	// Exports: at some moment other machines begin to reach the directory, which
	// is local before; their processes start after that.
	Exports bool
	// Breaks: a program breaks locks of owners that are not known to be dead.
	Breaks bool
	// Leases: the directory is in a store in which files hang on leases. It removes
	// and replaces a file only if it is still the same. It removes a file when its
	// lease ends, which it can at any time after its owner has died, has let go of it
	// or was told that it must take the lease for ended.
	Leases bool
	// LateClock: … or before the owner is told.
	LateClock bool
	// Shares: the file system can have directories in the directory.
	Shares bool
	// Partial: a listing of such a directory may leave out any file.
	Partial bool
	// Empties: removing such a directory removes what is in it. No lock can bear
	// that.
	Empties bool
}

// Process is an invented process.
type Process struct {
	// Threads are its programs.
	Threads []*Program
	// Machine and Namespace say where it runs. Two of the same machine have
	// the same boot, and two of the same namespace can see each other.
	Machine, Namespace int
	// Boot tells a container with a boot ID of its own from others of the same
	// machine, whose kernel it shares.
	Boot int
	// Mount is the mount by which it sees the directory. It does not see the
	// witness of a file that was created by way of another mount.
	Mount int
	// Deaf: its program is of a version that knows no notes of deaths.
	Deaf bool
	// After is the number of the process, counted from 1, that must be dead
	// before this one starts, and whose PID it has.
	After int
}

// Config is a search: what the world is like, who is in it, and what may
// happen to them.
type Config struct {
	Name  string
	Rules Rules
	Procs []Process
	// Start are the directories to start from: a character for each level, L0
	// first. See StartKinds.
	Start []string
	// Deaths is how many processes may die.
	Deaths int
	// Reexecs is how many processes may start their program anew, without
	// dying: they let go of all files, and forget.
	Reexecs int
	// Lapses is how many owners, of those that live, are told that they must take
	// their lease for ended.
	Lapses int
	// Late is how many requests to the store get no answer, and are done later, or
	// never. A process may die meanwhile.
	Late int
	// Meddles is how often somebody may do what Rules.Meddle says. Zero means
	// once.
	Meddles int
	// Lone is the program that must acquire the lock when nobody is in its way.
	Lone *Program
	// Each: a lone process of each machine tries in turn, until one of them has
	// the lock. Each removes what it can judge.
	Each bool
	// LoneReader is the program that must acquire the lock for reading then, and also
	// when only readers hold it.
	LoneReader *Program
	// Agrees is a program that looks, tries to lock, and compares the answers.
	// A process that comes in any state, and finds nobody else moving, runs it.
	Agrees *Program
	// Attempts is how many a call makes: with Rules.Held, one that has made them all
	// may be told "held" if L0 has come or gone in each. Zero is no excuse.
	Attempts int
	// Only is the property that is looked for, if it is not all of them.
	Only string
	// Verify runs the code under test again with other names and by other
	// ways, to see that the search may treat them as one.
	Verify bool
	// MaxStates and MaxTime cut the search short. Zero is no limit.
	MaxStates int
	MaxTime   time.Duration
}

// The characters of [Config.Start].
const (
	StartAbsent  = '-'
	StartStale   = 'S' // a record of a dead process of machine 0, namespace 0
	StartBoot    = 'B' // a record of a process of an earlier boot
	StartTorn    = 'T'
	StartForeign = 'F' // nobody can judge it
	// The record of a living process of machine 0, namespace 0, in a file that
	// it does not hold: copied from another directory, or restored.
	StartCopy = 'C'
	// … copied from another file system.
	StartMoved = 'D'
	StartOther = 'O' // a record of a dead process of machine 1
	StartNoted = 'P' // the same, with a note of its death
	StartOld   = 'M' // the same, with a note of the death of another one
	StartNote  = 'N' // no file, and such a note
	// At L0 only: the directory of readers, which is empty; … with the file of a
	// reader of machine 0, namespace 0, that is dead; no L0, but the claim of such a
	// writer.
	StartEmpty  = 'E'
	StartReader = 'R'
	StartClaim  = 'W'
)

// StartKinds are all characters of Config.Start.
const StartKinds = "-SBTFCDOPMNERW"

// Where a process is, as another one sees it.
const (
	placeSame      = 0
	placeNamespace = 1
	placeBoot      = 2
)

// Owners of files that are not processes of the search.
const (
	ownerTorn    = -1
	ownerForeign = -2
	ownerGhost   = 16 // + level: a process that was dead before
	ownerBoot    = 32 // + level: … of an earlier boot
	ownerElse    = 40 // + level: a living process that is not of the search
	ownerFar     = 48 // + level: … and uses another file system
	ownerOther   = 56 // + level: a process of machine 1 that was dead before
)

const none = -1

type file struct {
	owner int8 // process
	by    int8 // thread
	level int8 // or none
	open  bool // its creator has it open, or will have died with it
	inSub bool // it was made in a directory in the directory
	debt  int8 // 1 + the thread that must remove it before it says that it recovered the lock
	used  bool

	// What others have done to it.
	weak bool // somebody has a lock on it that every reader can take
	torn bool // it was truncated
	twin int8 // files of the same number, unless it is 0, hold the same record
	src  int8 // 1 + the file that it was before it was truncated
	wide bool // its owner knew that other machines could reach the directory

	leased bool // it hangs on a lease, which has not ended
	noted  bool // somebody has left a note of its owner's death
}

type thread struct {
	node   int32
	half   result // of a read, whose witness has not been asked for
	nb     int8
	b      [maxBindings]int8 // files
	hold   int8              // the file with which it holds the lock, or none
	busy   bool              // somebody was in the way during this call
	lost   bool              // a meddler took its lock
	faulty bool              // an error was injected into this call
	watchF int8              // level watched, or inBinding + k for the file of binding k, or none
	sub    [maxSubs]int8     // directories that it has open: see subL0
	unread uint32            // bindings of files that were listed, and not read
	shares bool              // it holds the lock for reading
	moved  bool              // L0 has come or gone in this attempt
	still  bool              // … and has not, in one before
	watchP int8              // process watched, or none
	eventF bool
	eventP bool
}

type state struct {
	lv      [maxLevels]int8 // files
	note    [maxLevels]int8 // files with the record that is in the note of a level, or none, or noteOfNone
	f       [maxFiles]file
	t       [maxThreads]thread
	dead    uint32 // processes
	deaths  int8
	faults  int8
	reexecs int8
	meddled int8
	stash   int8 // the file that was moved away, or none
	dropped bool
	dirs    [2]bool   // there are directories of readers and of claims
	clean   bool      // there was nothing at the start
	wide    bool      // other machines can reach the directory by now
	lied    bool      // a Create seemed to succeed
	site    faultSite // where the error was injected, if one was
	lapses  int8
	late    int8
	flight  [maxFlights]flight
}

// model is a search's world: what does not change from state to state.
type model struct {
	cfg     *Config
	rs      *reactions
	nt      int   // threads
	np      int   // processes
	procOf  []int // of each thread; the lone process is the last one
	class   []int // threads of one class are interchangeable
	awaited uint32
	lone    int // thread
	single  bool
	outside bool // more can happen to files than processes do to them
	literal bool // replays take every step one by one

	faultCount map[faultSite]*faultCount
	loneCache  map[uint64]bool
	loneOn     int // the machine of the lone process
	agreeCache map[uint64]bool
	agreeRuns  int
	loneRuns   int
	quiescent  int
	closures   int
	variant    int   // of the operation that is done
	paused     uint8 // pauses so far in the call that is answered
}

func newModel(cfg *Config) *model {
	m := &model{cfg: cfg, rs: newReactions(cfg.Rules, cfg.Lone, cfg.Verify), loneCache: map[uint64]bool{}, agreeCache: map[uint64]bool{}, faultCount: map[faultSite]*faultCount{}}
	m.single = true
	for i, p := range cfg.Procs {
		class := -1
		for j, q := range cfg.Procs[:i] {
			if len(p.Threads) == 1 && len(q.Threads) == 1 && p.Threads[0] == q.Threads[0] &&
				p.Machine == q.Machine && p.Namespace == q.Namespace && p.Boot == q.Boot && p.Mount == q.Mount && p.Deaf == q.Deaf && p.After == 0 && q.After == 0 && !m.hasHeir(i) && !m.hasHeir(j) {
				class = m.class[m.threadOf(j)]
				break
			}
		}
		for range p.Threads {
			c := class
			if c < 0 {
				c = 100 + len(m.procOf)
			}
			m.procOf = append(m.procOf, i)
			m.class = append(m.class, c)
		}
		if p.After > 0 {
			m.awaited |= 1 << (p.After - 1)
		}
		m.single = m.single && len(p.Threads) == 1
	}
	m.nt, m.np = len(m.procOf), len(cfg.Procs)
	r := &cfg.Rules
	m.outside = r.Meddle != 0 || r.LateCreate || r.FalseCreate || r.Exports || cfg.Reexecs > 0
	m.lone = m.nt
	m.procOf = append(m.procOf, m.np)
	if m.nt+1 > maxThreads {
		panic("explore: too many threads")
	}
	return m
}

func (m *model) hasHeir(p int) bool {
	for _, q := range m.cfg.Procs {
		if q.After == p+1 {
			return true
		}
	}
	return false
}

func (m *model) threadOf(p int) int {
	for t, q := range m.procOf {
		if q == p {
			return t
		}
	}
	panic("explore: no such process")
}

// start returns the first state.
func (m *model) start(dir string) *state {
	s := &state{stash: none, wide: m.cfg.Rules.Network, clean: strings.Trim(dir, string(StartAbsent)) == ""}
	for l := range s.lv {
		s.lv[l], s.note[l] = none, none
	}
	for l, c := range dir {
		f := file{by: none, level: int8(l), used: true, wide: s.wide}
		switch c {
		case StartAbsent:
			continue
		case StartNote:
			s.note[l] = noteOfNone
			continue
		case StartEmpty, StartReader, StartClaim:
			s.startSub(l, c)
			continue
		case StartStale:
			f.owner = int8(ownerGhost + l)
		case StartBoot:
			f.owner = int8(ownerBoot + l)
		case StartCopy:
			f.owner = int8(ownerElse + l)
		case StartMoved:
			f.owner = int8(ownerFar + l)
		case StartOther, StartNoted, StartOld:
			f.owner = int8(ownerOther + l)
			if c == StartNoted {
				s.note[l], f.noted = int8(l), true
			}
			if c == StartOld {
				s.note[l] = noteOfNone
			}
		case StartTorn:
			f.owner = ownerTorn
		case StartForeign:
			f.owner = ownerForeign
		default:
			panic(fmt.Sprintf("explore: start state %q", dir))
		}
		s.lv[l] = int8(l)
		s.f[l] = f
	}
	for t := range maxThreads {
		s.t[t].hold, s.t[t].watchF, s.t[t].watchP = none, none, none
	}
	t := 0
	for _, p := range m.cfg.Procs {
		for _, prog := range p.Threads {
			_, s.t[t].node = m.rs.program(prog)
			t++
		}
	}
	return s
}

func (m *model) node(s *state, t int) *node { return &m.rs.nodes[s.t[t].node] }

// ownerDead tells whether the owner of a file is dead, by what is true and not
// by what can be known. Incomplete records have dead owners; nobody knows those
// of foreign files.
func (s *state) ownerDead(owner int8) bool {
	switch {
	case owner == ownerForeign, owner >= ownerElse && owner < ownerOther:
		return false
	case owner == ownerTorn, owner >= ownerGhost:
		return true
	}
	return s.dead>>owner&1 != 0
}

// gone tells whether the owner of a file is dead, or lives and has let go of it:
// it will not touch this file again.
func (s *state) gone(x *file) bool {
	return s.ownerDead(x.owner) || x.owner != ownerForeign && !x.open
}

// place says where the owner of a record is, for a process.
func (m *model) place(p int, owner int8) int {
	a, b := m.where(p), m.where(int(owner))
	switch {
	case a.Machine != b.Machine, a.Boot != b.Boot:
		return placeBoot
	case a.Namespace != b.Namespace:
		return placeNamespace
	}
	return placeSame
}

// sees tells whether a process would see the witness of an owner's files.
func (m *model) sees(p int, owner int8) bool {
	if owner < 0 {
		return true
	}
	a, b := m.where(p), m.where(int(owner))
	return a.Machine == b.Machine && (a.Mount == b.Mount || !m.cfg.Rules.Views)
}

// where says where a process runs, be it one of the search or another one.
func (m *model) where(p int) Process {
	switch {
	case p >= ownerBoot && p < ownerElse:
		return Process{Machine: -1}
	case p >= ownerOther:
		return Process{Machine: 1}
	case p >= ownerFar:
		return Process{Mount: 1}
	case p >= ownerGhost:
		return Process{}
	case p >= m.np:
		return Process{Machine: m.loneOn}
	}
	return m.cfg.Procs[p]
}

// pid returns a number that two processes share if they have the same PID.
func (m *model) pid(p int8) int {
	for p < ownerGhost && int(p) < m.np && m.cfg.Procs[p].After > 0 {
		p = int8(m.cfg.Procs[p].After - 1)
	}
	return int(p)
}

// mayTell tells whether a process could know that the owner of this file is
// dead, if it is.
func (m *model) mayTell(s *state, p int, f *file) bool {
	if m.cfg.Rules.Leases {
		return !f.leased && f.owner >= 0 && !f.torn
	}
	local := !s.wide && !f.wide
	witness := m.cfg.Rules.Witness && m.sees(p, f.owner)
	switch {
	case s.hasNote(f) && !m.deaf(p):
		return true
	case f.owner == ownerForeign:
		return false
	case f.owner == ownerTorn, f.torn:
		return local
	case !s.ownerDead(f.owner):
		// It has let go of the file.
		return local && witness || m.cfg.Rules.Holds && int(f.owner) == p
	}
	switch m.place(p, f.owner) {
	case placeSame:
		return true
	case placeNamespace:
		return witness
	}
	// It ran before this machine was last started, or in a container that has a
	// boot ID of its own.
	return local && (witness || m.cfg.Rules.Witness && f.owner >= ownerBoot)
}

// gc forgets files that nobody can see or remembers.
func (m *model) gc(s *state) {
	m.dropFlights(s)
	var keep uint32
	for _, f := range s.lv {
		if f >= 0 {
			keep |= 1 << f
		}
	}
	keep |= s.inSubs()
	if s.stash >= 0 {
		keep |= 1 << s.stash
	}
	for t := range m.nt {
		th := &s.t[t]
		if s.dead>>m.procOf[t]&1 != 0 {
			continue
		}
		for _, f := range th.b[:th.nb] {
			keep |= 1 << f
		}
	}
	m.gcNotes(s, keep)
	for i := range s.f {
		if s.f[i].used && keep>>i&1 == 0 {
			s.f[i] = file{}
		} else if src := s.f[i].src - 1; src >= 0 && keep>>src&1 == 0 {
			s.f[i].src = 0
		}
	}
}

func (s *state) newFile() int8 {
	for i := range s.f {
		if !s.f[i].used {
			s.f[i].used = true
			return int8(i)
		}
	}
	panic("explore: too many files")
}

// traces returns the processes of which a file, or another one's memory,
// speaks.
func (m *model) traces(s *state) (tr uint32) {
	for _, f := range s.lv {
		if f >= 0 && s.f[f].owner >= 0 && s.f[f].owner < ownerGhost {
			tr |= 1 << s.f[f].owner
		}
	}
	tr |= s.tracesSubs()
	if s.stash >= 0 && s.f[s.stash].owner >= 0 && s.f[s.stash].owner < ownerGhost {
		tr |= 1 << s.f[s.stash].owner
	}
	for t := range m.nt {
		if s.dead>>m.procOf[t]&1 != 0 {
			continue
		}
		th := &s.t[t]
		for _, f := range th.b[:th.nb] {
			if o := s.f[f].owner; o >= 0 && o < ownerGhost && int(o) != m.procOf[t] {
				tr |= 1 << o
			}
		}
		if th.watchP >= 0 {
			tr |= 1 << th.watchP
		}
	}
	for i := range s.flight {
		if s.flight[i].kind != opNone {
			tr |= 1 << s.flight[i].owner
		}
	}
	return tr
}

// key returns a fingerprint that two states share if they differ in nothing
// but names: which of the interchangeable processes is which, and which of the
// files that are gone. It writes the state down with the threads in an order
// that depends on no name. Where that order is not unique, two states that
// differ in names can have two fingerprints; that costs time, and no more.
func (m *model) key(s *state) uint64 {
	rules := &m.cfg.Rules
	var have [maxThreads]bool
	var sig, acc [maxThreads]uint64
	tr := m.traces(s)
	for t := range m.nt {
		p := m.procOf[t]
		if s.dead>>p&1 != 0 {
			continue
		}
		th := &s.t[t]
		if tr>>p&1 == 0 && m.single && th.hold < 0 && m.rs.nodes[th.node].op.kind == opDone {
			continue // it is like a dead one
		}
		have[t] = true
		h := mix(uint64(m.class[t])<<32|uint64(uint32(th.node)), uint64(th.half)<<8|th.flags())
		for _, f := range th.b[:th.nb] {
			h = mix(h, m.fileSig(s, f, p))
		}
		for l, f := range s.lv {
			if f >= 0 && int(s.f[f].owner) == p {
				h = mix(h, uint64(l)+77)
			}
		}
		for i := range s.f {
			if x := &s.f[i]; x.used && x.level >= levelSub && int(x.owner) == p {
				h = mix(h, uint64(x.level)+77)
			}
		}
		sig[t] = m.subSig(s, t, h)
	}
	for t := range m.nt {
		if !have[t] {
			continue
		}
		th := &s.t[t]
		for k, f := range th.b[:th.nb] {
			if o := s.f[f].owner; o >= 0 && int(o) < m.np && int(o) != m.procOf[t] && s.dead>>o&1 == 0 {
				for u := range m.nt {
					if m.procOf[u] == int(o) {
						acc[u] += mix(sig[t], uint64(k)+1)
					}
				}
			}
		}
	}
	var order [maxThreads]int8
	n := 0
	for t := range m.nt {
		if !have[t] {
			continue
		}
		sig[t] = uint64(m.class[t])<<56 | mix(sig[t], acc[t])>>8
		i := n
		for i > 0 && sig[order[i-1]] > sig[t] {
			order[i] = order[i-1]
			i--
		}
		order[i] = int8(t)
		n++
	}

	// Names, in the order of appearance.
	var procName, threadName, ghostName [64]int8
	for i := range procName {
		procName[i], ghostName[i] = -1, -1
	}
	for i, t := range order[:n] {
		threadName[t] = int8(i)
		if p := m.procOf[t]; procName[p] < 0 {
			procName[p] = int8(i)
		}
	}
	var files [64]int8
	for i := range s.f {
		if s.f[i].used && s.f[i].owner >= 0 {
			files[s.f[i].owner]++
		}
	}
	ghosts := int8(0)
	name := func(f *file, linked bool) byte {
		switch o := f.owner; {
		case o == ownerTorn:
			return 0xf0
		case o == ownerForeign:
			return 0xf1
		case o < ownerGhost && s.dead>>o&1 == 0 && procName[o] >= 0:
			return byte(procName[o])
		case !linked && files[o] == 1 && (o < ownerElse || o >= ownerOther):
			return 0xf2
		default:
			if ghostName[o] < 0 {
				ghostName[o] = ghosts
				ghosts++
			}
			n := 0x40 + byte(ghostName[o])
			if o >= ownerBoot {
				n += 0x40
			}
			if o >= ownerElse {
				n += 0x40
			}
			if o >= ownerOther {
				n += 0x20
			}
			return n
		}
	}
	var buf [640]byte
	b := buf[:0]
	// Deaths, faults and so on are part of the state.
	g := byte(s.deaths)<<4 | byte(s.faults)<<2
	if s.wide {
		g |= 1
	}
	if s.dropped {
		g |= 2
	}
	b = append(b, g, byte(n))
	if m.outside {
		b = append(b, byte(s.meddled)|byte(s.reexecs)<<4)
		if s.lied {
			b = append(b, 1)
		}
		if s.stash >= 0 {
			x := &s.f[s.stash]
			b = append(b, 0xfe, name(x, true), m.fate(s, x))
		}
	}
	if m.awaited != 0 {
		b = append(b, byte(s.dead&m.awaited))
	}
	if rules.Leases {
		b = m.appendFlights(b, s, &procName)
	}
	for _, f := range s.lv {
		if f < 0 {
			b = append(b, 0xff)
			continue
		}
		x := &s.f[f]
		b = append(b, name(x, true))
		if m.outside {
			b = append(b, m.fate(s, x))
		}
		if rules.Leases {
			b = append(b, x.lease(s))
		}
		fl := byte(0)
		if rules.Witness && x.open && !s.ownerDead(x.owner) {
			fl = 1
		}
		if x.debt > 0 && s.dead>>m.procOf[x.debt-1]&1 == 0 {
			fl |= byte(threadName[x.debt-1]+1) << 1
		}
		if x.by >= 0 && s.dead>>m.procOf[x.by]&1 == 0 {
			fl |= byte(threadName[x.by]+1) << 4
		}
		if x.noted {
			fl |= 1 << 7
		}
		b = append(b, fl)
	}
	b = m.noteKey(s, order[:n], b)
	b, subName := m.subKey(s, order[:n], threadName, name, b)
	for _, t := range order[:n] {
		th := &s.t[t]
		fl := th.flags()
		b = append(b, byte(m.class[t]), byte(th.node), byte(th.node>>8), byte(th.node>>16), byte(fl), byte(fl>>8), byte(fl>>16), byte(fl>>24))
		b = m.openKey(s, int(t), b)
		if th.half != 0 {
			b = append(b, byte(th.half), byte(th.half>>8), byte(th.half>>16), 1)
		}
		if th.watchP >= 0 {
			if procName[th.watchP] >= 0 {
				b = append(b, 0x10+byte(procName[th.watchP]))
			} else {
				b = append(b, 0x0f)
			}
		}
		if th.hold >= 0 {
			for k, f := range th.b[:th.nb] {
				if f == th.hold {
					b = append(b, byte(k))
				}
			}
		}
		for _, f := range th.b[:th.nb] {
			x := &s.f[f]
			if x.level >= levelSub {
				b = append(b, subName[f])
				continue
			}
			if x.level >= 0 {
				b = append(b, byte(x.level))
				continue
			}
			c := byte(0x20)
			if rules.Witness && x.open && !s.ownerDead(x.owner) {
				c |= 1
			}
			b = append(b, c, name(x, false))
			if m.outside {
				b = append(b, m.fate(s, x))
			}
			if rules.Leases {
				b = append(b, x.lease(s))
			}
		}
	}
	h := uint64(len(b))
	for len(b)%8 != 0 {
		b = append(b, 0)
	}
	for i := 0; i < len(b); i += 8 {
		h = mix(h, uint64(b[i])|uint64(b[i+1])<<8|uint64(b[i+2])<<16|uint64(b[i+3])<<24|
			uint64(b[i+4])<<32|uint64(b[i+5])<<40|uint64(b[i+6])<<48|uint64(b[i+7])<<56)
	}
	if h = mix(h, 0x1d8e4e27c47d124f); h == 0 {
		h = 1
	}
	return h
}

func (m *model) fileSig(s *state, f int8, p int) uint64 {
	x := &s.f[f]
	h := uint64(x.level+1) << 8
	switch {
	case int(x.owner) == p:
		h |= 1
	case x.owner < 0:
		h |= uint64(uint8(x.owner))
	case s.ownerDead(x.owner):
		h |= 2
	default:
		h |= 3
	}
	if x.open {
		h |= 1 << 16
	}
	return h
}

// fate says what others have done to a file.
func (m *model) fate(s *state, x *file) (b byte) {
	for i, is := range [...]bool{x.weak, x.torn, x.src > 0, x.wide, x.open && !s.ownerDead(x.owner)} {
		if is {
			b |= 1 << i
		}
	}
	return b | byte(x.twin)<<5
}

func (th *thread) flags() (f uint64) {
	for i, b := range [...]bool{th.busy, th.lost, th.faulty, th.eventF, th.eventP, th.hold >= 0, th.shares} {
		if b {
			f |= 1 << i
		}
	}
	if th.moved {
		f |= 1 << 22
	}
	if th.still {
		f |= 1 << 23
	}
	return f | uint64(th.watchF+1)<<8 | uint64(th.nb)<<16
}

// mix is a step of a hash function.
func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a^0xa0761d6478bd642f, b^0xe7037ed1a0b428db)
	return hi ^ lo ^ a<<1
}
