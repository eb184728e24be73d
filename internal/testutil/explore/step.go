package explore

import (
	"fmt"
)

// An action is one step of a schedule: what happens, and to whom.
type action uint16

const (
	actStep     action = iota << 8 // a thread does its next operation
	actDie                         // a process dies
	actFail                        // the next operation of a thread fails
	actFailDone                    // … takes effect, and says that it failed
	actCancel                      // the context of a thread that waits ends
	actDrop                        // the events that a thread has not seen are lost
	actMeddle                      // somebody removes the file of a level
	actAway                        // … moves it away
	actBack                        // … moves it back, to a level
	actTruncate                    // … truncates it
	actFlock                       // … takes a lock on it that every reader can take
	actCopy                        // … copies it: from<<4 | to
	actReexec                      // a process starts its program anew
	actExport                      // other machines begin to reach the directory
	actLie                         // the next operation of a thread seems to succeed
	actLate                        // … gets no answer, and is done later
	actDieLate                     // a process dies, and its next operation is done later
	actArrive                      // an operation that got no answer is done
	actLapse                       // the owner of a level must take its lease for ended
	actEnd                         // the lease of a level ends
	actOther                       // the next operation of a thread, with another result that it may have
)

// ofThread tells whether an action is about a thread, and not about a level, a
// process or the directory.
func (a action) ofThread() bool {
	switch a.kind() {
	case actStep, actFail, actFailDone, actCancel, actDrop, actLie, actLate, actOther:
		return true
	}
	return false
}

func (a action) kind() action { return a &^ 0xff }
func (a action) who() int {
	if a.kind() == actOther {
		return int(a & 7)
	}
	return int(a & 0xff)
}

// variant tells which of the results an operation has: 0 is that of actStep.
func (a action) variant() int {
	if a.kind() == actOther {
		return int(a>>3) & 31
	}
	return 0
}

// The properties, in the words of docs/protocol.md.
const (
	Exclusion   = "exclusion"
	OwnFiles    = "own files only"
	NoLockOut   = "no lock-out"
	NoFalseHeld = "no false held"
	Clean       = "cleanliness"
	NoFailure   = "failures are not acquisitions"
	Surfaces    = "errors surface"
	NoLostWake  = "no lost wake-up"
	Answers     = "answers"
	Unique      = "records are unique"
)

// faultSite is an operation that was made to fail.
type faultSite struct {
	op      callKind
	call    string
	witness bool // only the question for the witness failed
}

// faultCount is how often the error surfaced, and what the call returned if it
// did not.
type faultCount struct {
	surfaced, acquired, refused, released, other int
}

type violation struct {
	property, detail string
	lone             *Program // if it is a lone process that breaks the property
}

func (v *violation) alone(prog *Program) *violation { v.lone = prog; return v }

func broken(property, format string, args ...any) *violation {
	return &violation{property: property, detail: fmt.Sprintf(format, args...)}
}

// can tells whether a thread has a step to take.
func (m *model) can(s *state, t int) bool {
	p := m.procOf[t]
	if s.dead>>p&1 != 0 {
		return false
	}
	if p < m.np {
		if after := m.cfg.Procs[p].After; after > 0 && s.dead>>(after-1)&1 == 0 {
			return false
		}
		if m.cfg.Rules.Exports && m.cfg.Procs[p].Machine > 0 && !s.wide {
			return false
		}
	}
	return m.node(s, t).op.kind != opDone
}

// actions appends what can happen next.
func (m *model) actions(s *state, acts []action) []action {
	for t := range m.nt {
		if m.can(s, t) {
			acts = append(acts, actStep|action(t))
			for v := 1; v < m.variants(s, t); v++ {
				acts = append(acts, actOther|action(v<<3|t))
			}
			if m.cfg.Rules.Waits && m.node(s, t).op.kind == opPause {
				acts = append(acts, actCancel|action(t))
				if !s.dropped && (s.t[t].eventF || s.t[t].eventP) {
					acts = append(acts, actDrop|action(t))
				}
			}
		}
	}
	if int(s.deaths) < m.cfg.Deaths {
		tr := m.traces(s) | m.awaited
		for p := range m.np {
			// The death of a process of which nothing speaks is the same as
			// its never taking a step again, and needs no death.
			if s.dead>>p&1 == 0 && tr>>p&1 != 0 {
				acts = append(acts, actDie|action(p))
			}
		}
	}
	if m.cfg.Rules.Faults && s.faults == 0 {
		for t := range m.nt {
			if !m.can(s, t) {
				continue
			}
			switch k := m.node(s, t).op.kind; k {
			case opPause, opProbe, opChoose:
			case opRemove, opReplace, opRemoveSub, opRmdir:
				acts = append(acts, actFail|action(t), actFailDone|action(t))
			case opCreate:
				acts = append(acts, actFail|action(t))
				if m.cfg.Rules.LateCreate && s.lv[m.node(s, t).op.a] < 0 {
					acts = append(acts, actFailDone|action(t))
				}
			case opHolds:
			default:
				acts = append(acts, actFail|action(t))
			}
		}
	}
	if m.cfg.Rules.Leases {
		acts = m.leaseActions(s, acts)
	}
	if m.outside || m.cfg.Rules.Meddle != 0 {
		acts = m.outsiders(s, acts)
	}
	return acts
}

// silent tells whether the next operation of a thread changes nothing, has the
// same result whenever it is done, and is not seen by anybody: then it is done
// at once, and makes no state of its own.
func (m *model) silent(s *state, t int) bool {
	th := &s.t[t]
	if th.half != 0 {
		f := &s.f[m.halfFile(s, t)]
		if m.cfg.Rules.Faults && s.faults == 0 || m.cfg.Rules.Meddle&MeddleLock != 0 && m.meddlesLeft(s) {
			return false
		}
		return !f.open || s.ownerDead(f.owner) || !m.sees(m.procOf[t], f.owner)
	}
	if m.cfg.Rules.Faults && s.faults == 0 {
		return false
	}
	n := m.node(s, t)
	switch n.op.kind {
	case opListSub, opCreateSub, opReadSub, opRemoveSub, opNotifySub:
		return th.sub[n.op.a] == subGone
	case opPause:
		return !m.cfg.Rules.Waits
	case opSelf, opWitnesses:
		return true
	case opLocal:
		return !m.cfg.Rules.Exports || s.wide
	case opClose:
		return s.f[th.b[n.op.a]].level < 0
	case opProbe:
		if n.op.a < 0 {
			return true
		}
		o := s.f[th.b[n.op.a]].owner
		return s.ownerDead(o) || m.place(m.procOf[t], o) != placeSame
	}
	return false
}

// settle does all silent operations. It appends them to trail, if that is not
// nil.
func (m *model) settle(s *state, trail *[]action) *violation {
	if m.literal {
		return nil
	}
	for again := true; again; {
		again = false
		for t := range m.nt {
			for m.can(s, t) && m.silent(s, t) {
				if trail != nil {
					*trail = append(*trail, actStep|action(t))
				}
				m.closures++
				if v := m.apply(s, actStep|action(t)); v != nil {
					return v
				}
				again = true
			}
		}
	}
	return nil
}

// idle tells whether a thread is between two calls.
func (m *model) idle(s *state, t int) bool { return s.t[t].half == 0 && m.node(s, t).idle }

func (m *model) halfFile(s *state, t int) int8 {
	th := &s.t[t]
	if o := m.node(s, t).op; o.kind == opReadSub {
		return th.b[o.b]
	}
	if th.half.isFresh() {
		return th.b[th.nb-1]
	}
	return th.b[th.half.rel()]
}

// matters tells whether the search looks for violations of this property.
func (m *model) matters(v *violation) bool {
	return v != nil && (m.cfg.Only == "" || m.cfg.Only == v.property)
}

// apply lets something happen.
func (m *model) apply(s *state, a action) *violation {
	if v := m.happen(s, a); m.matters(v) {
		return v
	}
	return nil
}

func (m *model) happen(s *state, a action) *violation {
	switch who := a.who(); a.kind() {
	case actStep, actFail, actFailDone, actCancel, actLate:
		return m.step(s, who, a.kind())
	case actDieLate:
		m.sends(s, m.threadOf(who))
		s.deaths++
		m.die(s, who)
		m.gc(s)
	case actArrive:
		m.arrives(s, who)
		m.gc(s)
	case actLapse:
		m.lapse(s, who)
		m.gc(s)
	case actEnd:
		m.endLease(s, who)
		m.gc(s)
	case actOther:
		m.variant = a.variant()
		defer func() { m.variant = 0 }()
		return m.step(s, who, actStep)
	case actDie:
		s.deaths++
		m.die(s, who)
		m.gc(s)
	case actDrop:
		s.dropped = true
		s.t[who].eventF, s.t[who].eventP = false, false
	case actLie:
		s.lied = true
		return m.step(s, who, a.kind())
	default:
		m.meddle(s, a)
		m.gc(s)
	}
	return m.watchHeld(s)
}

func (m *model) die(s *state, p int) {
	s.dead |= 1 << p
	for t := range m.nt {
		th := &s.t[t]
		if m.procOf[t] == p {
			for l := range s.f {
				if s.f[l].debt == int8(t)+1 {
					s.f[l].debt = 0
				}
			}
			*th = thread{node: th.node, hold: none, watchF: none, watchP: none}
		}
		if th.watchP == int8(p) {
			th.eventP = true
		}
	}
	for i := range s.f {
		if s.f[i].used && int(s.f[i].owner) == p {
			s.f[i].open = false
		}
	}
}

// changed tells those who watch a level.
func (m *model) changed(s *state, level int) {
	for t := range m.nt {
		if s.t[t].watchF == int8(level) {
			s.t[t].eventF = true
		}
	}
}

func (m *model) unlink(s *state, level int) {
	if level == 0 {
		m.moveL0(s)
	}
	f := s.lv[level]
	s.lv[level] = none
	s.f[f].level = none
	s.f[f].debt = 0
	m.changed(s, level)
}

// mayTouch checks that a thread may remove or replace a file.
func (m *model) mayTouch(s *state, t int, f int8, what string) *violation {
	x := &s.f[f]
	if int(x.by) == t {
		return nil
	}
	if x.owner == ownerForeign {
		return broken(OwnFiles, "%s %s a file that nobody can judge", m.threadName(t), what)
	}
	if !s.gone(x) {
		return broken(OwnFiles, "%s %s a file of %s, who is alive", m.threadName(t), what, m.threadName(int(x.by)))
	}
	if !m.mayTell(s, m.procOf[t], x) && !x.noted && !m.cfg.Rules.Breaks {
		return broken(OwnFiles, "%s %s a file whose owner it cannot know to be dead", m.threadName(t), what)
	}
	return nil
}

// step lets a thread do its next operation.
func (m *model) step(s *state, t int, how action) *violation {
	th := &s.t[t]
	n := m.node(s, t)
	p := m.procOf[t]
	first := m.idle(s, t)
	if first {
		// The call begins with its first operation.
		th.busy, th.faulty, th.moved, th.still = false, false, false, false
		if n.call == Unlock || n.call == RUnlock {
			th.hold, th.shares = none, false
		}
		if m.cfg.Rules.Held {
			th.busy = m.inTheWay(s, t)
		}
	}
	var r result
	var bad *violation // of what it does to files
	o := n.op
	if how == actFail || how == actFailDone {
		s.faults++
		s.site = faultSite{n.op.kind, n.call, th.half != 0}
	}
	if how == actLate {
		s.site = faultSite{n.op.kind, n.call, false}
		m.sends(s, t)
		th.faulty = true
		return m.react(s, t, resErr)
	}
	if how == actFail && th.half == 0 {
		th.faulty = true
		return m.react(s, t, resErr)
	}
	switch o.kind {
	case opCreate:
		if o.b&createOld != 0 {
			bad = broken(Unique, "%s creates a second file with one record", m.threadName(t))
		}
		if (s.lv[o.a] >= 0 || o.a == 0 && s.dirs[0]) && how != actLie {
			r = resExist
			break
		}
		f := s.newFile()
		s.f[f] = file{owner: int8(p), by: int8(t), level: o.a, open: true, used: true, wide: o.b&createWide != 0, leased: m.cfg.Rules.Leases}
		if how == actFailDone {
			// The caller gets no file: nobody has it open.
			s.lv[o.a], s.f[f].open, s.f[f].by = f, false, none
			th.faulty = true
			return m.react(s, t, resErr)
		}
		if how == actLie {
			s.f[f].level = none
		} else {
			s.lv[o.a] = f
		}
		if o.a == 0 {
			m.moveL0(s)
		}
		th.b[th.nb] = f
		th.nb++
		for l := 1; l < len(s.lv); l++ {
			// It has climbed, and creates L0 for want of a replacement.
			if g := s.lv[l]; o.a == 0 && g >= 0 && int(s.f[g].by) == t {
				m.owe(s, t, l)
			}
		}
		r = resOK
	case opRead:
		if th.half != 0 {
			r = m.witnessed(s, t, how)
			break
		}
		f := s.lv[o.a]
		if o.a == 0 && s.dirs[0] {
			r = resNo
			break
		}
		if f < 0 {
			r = resGone
			break
		}
		r = m.see(s, t, f)
		if m.cfg.Rules.Leases {
			r |= s.f[f].hangs()
		}
		if m.cfg.Rules.Witness {
			th.half = r
			return m.watchHeld(s)
		}
	case opReplace:
		f := s.lv[o.a]
		if f < 0 {
			r = resGone
			break
		}
		bad = m.mayTouch(s, t, f, "renames")
		if o.b == 0 && s.dirs[0] {
			bad = broken(OwnFiles, "%s renames over the directory of the readers", m.threadName(t))
		}
		if old := s.lv[o.b]; old >= 0 {
			if v := m.mayTouch(s, t, old, "replaces"); bad == nil {
				bad = v
			}
			m.unlink(s, int(o.b))
		}
		s.lv[o.a] = none
		m.changed(s, int(o.a))
		s.lv[o.b] = f
		s.f[f].level = o.b
		if o.b == 0 {
			m.owe(s, t, int(o.a))
		}
		r = resOK
	case opRemove:
		f := s.lv[o.a]
		if f < 0 {
			r = resGone
			break
		}
		bad = m.mayTouch(s, t, f, "removes")
		m.unlink(s, int(o.a))
		r = resOK
	case opList:
		r = resNames
		for l, f := range s.lv {
			if f >= 0 {
				r |= 1 << (4 + l)
			}
			if s.note[l] != none {
				r |= 1 << (notesInList + l)
			}
		}
	case opSwap:
		r, bad = m.swap(s, t)
	case opRemoveIf:
		r = m.removeIf(s, t)
	case opNote, opHear, opForget:
		r, bad = m.stepNote(s, t, o)
	case opIntact:
		r = resNo
		f := th.b[o.a]
		if o.b == ownName && s.f[f].level >= levelSub || o.b != ownName && s.lv[o.b] == f && (s.f[f].open || !m.cfg.Rules.Leases) {
			r = resOK
		}
	case opClose:
		m.close(s, th.b[o.a])
		r = resOK
	case opProbe:
		r = resAlive
		if o.a >= 0 {
			if w := s.f[th.b[o.a]].owner; s.ownerDead(w) || m.place(p, w) != placeSame {
				r = resDead
			}
		} else if o.a == probeNobody {
			r = resDead
		}
	case opPause:
		r = resOK
		th.eventF, th.eventP = false, false
		if how == actCancel {
			r = resErr
		}
	case opNotify:
		r = resOK
		th.watchF, th.eventF = o.a, false
		if s.lv[o.a] < 0 {
			r = resGone
			th.watchF = none
		}
	case opNotifyP:
		r = resOK
		th.watchP, th.eventP = none, false
		if o.a >= 0 {
			if w := s.f[th.b[o.a]].owner; s.ownerDead(w) {
				th.eventP = true
			} else {
				th.watchP = w
			}
		}
	case opSelf:
		r = resOK
	case opWitnesses:
		r = resNo
		if m.cfg.Rules.Witness {
			r = resOK
		}
	case opLocal:
		r = resOK
		if s.wide {
			r = resNo
		}
	case opPrepare:
		r = resOK
	case opChoose:
		r = resOK
		if m.variant > 0 {
			r = resNo
		}
	case opMkdir, opOpenSub, opRmdir, opListSub, opCreateSub, opReadSub, opRemoveSub, opNotifySub:
		var half bool
		if r, bad, half = m.stepSub(s, t, o, how); half {
			return m.watchHeld(s)
		}
	case opHolds:
		r = resNo
		if m.holds(s, p, th.b[o.a]) {
			r = resOK
		}
	}
	if how == actFailDone {
		th.faulty = true
		if r == resOK {
			r = resErrDone
		}
	}
	v := m.react(s, t, r)
	if m.matters(bad) {
		return bad
	}
	return v
}

// see describes a file to a thread, and makes it known.
func (m *model) see(s *state, t int, f int8) result {
	th := &s.t[t]
	known := none
	for k, g := range th.b[:th.nb] {
		if g == f {
			if th.unread>>k&1 == 0 {
				return resKnown | result(k)<<4
			}
			known = k
		}
	}
	p := m.procOf[t]
	x := &s.f[f]
	r := resRecord
	switch o := x.owner; {
	case o == ownerTorn, x.torn:
		r = resTorn
	case o == ownerForeign:
		r = resForeign
	default:
		r |= result(m.relation(s, t, p, o))<<4 | result(m.place(p, o))<<12 | m.facts(p, x)
		for k, g := range th.b[:th.nb] {
			if x.twin > 0 && s.f[g].twin == x.twin {
				r = resCopy | result(k)<<4
				break
			}
		}
	}
	if known >= 0 {
		th.unread &^= 1 << known
		return r
	}
	th.b[th.nb] = f
	th.nb++
	return r
}

func (m *model) relation(s *state, t, p int, o int8) int {
	if int(o) == p {
		return relSelf
	}
	th := &s.t[t]
	for k, g := range th.b[:th.nb] {
		if s.f[g].owner == o && !s.f[g].torn && th.unread>>k&1 == 0 {
			return relOwner + k
		}
	}
	if o >= ownerGhost {
		return relNew
	}
	if m.pid(o) == m.pid(int8(p)) {
		return relSelfPID
	}
	for k, g := range th.b[:th.nb] {
		if q := s.f[g].owner; q >= 0 && q < ownerGhost && m.pid(q) == m.pid(o) && !s.f[g].torn && th.unread>>k&1 == 0 {
			return relPID + k
		}
	}
	return relNew
}

// react gives a thread its result, and checks what comes of it.
func (m *model) react(s *state, t int, r result) *violation {
	th := &s.t[t]
	before := m.rs.nodes[th.node]
	m.paused = before.pauses
	e := m.rs.next(th.node, r)
	th.node = e.to
	for i := range e.marks {
		if v := m.mark(s, t, &e.marks[i], before.call); v != nil {
			return v
		}
	}
	if e.forget {
		var b [maxBindings]int8
		for i, k := range e.keep {
			b[i] = th.b[k]
		}
		th.b, th.nb, th.unread = b, int8(len(e.keep)), 0
		if m.rs.nodes[th.node].idle {
			th.watchF, th.watchP, th.eventF, th.eventP = none, none, false, false
			th.moved, th.still = false, false
		}
	}
	m.gc(s)
	return m.watchHeld(s)
}

// mark handles what a program tells of itself.
func (m *model) mark(s *state, t int, k *mark, call string) *violation {
	th := &s.t[t]
	if k.kind != markCall && k.kind != markPause && k.kind != markWrong {
		if th.faulty {
			m.count(s.site, k.kind)
		}
		defer func() { th.faulty = false }()
	}
	switch k.kind {
	case markPause:
		m.endAttempt(th)
	case markAcquired:
		th.lost = false
		th.hold = s.lv[0]
		if th.shares = call == TryRLock || call == RLock; th.shares {
			th.hold = m.readerFile(s, t)
		}
		if th.hold < 0 || int(s.f[th.hold].by) != t {
			if s.meddled == 0 && !s.lied {
				return broken(NoFailure, "%s takes itself for the owner, and its record is not in L0", m.threadName(t))
			}
			th.lost = true
			th.hold = none
		}
		for u := range m.nt {
			if u != t && !(th.shares && s.t[u].shares) && s.t[u].hold >= 0 && !s.t[u].lost && s.dead>>m.procOf[u]&1 == 0 {
				return broken(Exclusion, "%s acquires while %s is between an acquisition and the start of its Unlock", m.threadName(t), m.threadName(u))
			}
		}
		if l := m.settleDebts(s, t); l > 0 && !th.faulty {
			return broken(Clean, "%s has recovered the lock, and L%d of a dead owner is still there", m.threadName(t), l)
		}
	case markRefused:
		if m.endAttempt(th); m.cfg.Rules.Held && !th.busy && (th.still || m.cfg.Attempts == 0 || int(m.paused)+1 < m.cfg.Attempts) {
			return broken(NoFalseHeld, "%s was refused the lock, and nobody that may be alive had it or was recovering it meanwhile", m.threadName(t))
		}
		m.settleDebts(s, t)
		return m.leaves(s, t)
	case markFailed, markError:
		m.settleDebts(s, t)
		if k.kind == markError && !m.mayFail(s, t) {
			return broken(Answers, "%s got an error for no reason: %s", m.threadName(t), k.text)
		}
		if call != Unlock && call != RUnlock {
			return m.leaves(s, t)
		}
	case markReleased:
		if v := m.leaves(s, t); v != nil {
			return v
		}
		if th.lost {
			return broken(Answers, "%s was told that it released the lock, which it had lost", m.threadName(t))
		}
	case markLost:
		if !th.lost && !(m.cfg.Rules.Faults && s.faults > 0) && !m.cfg.Rules.Breaks && s.late == 0 {
			return broken(Answers, "%s was told that it lost the lock, and it did not", m.threadName(t))
		}
		th.lost = false
	case markWrong:
		return broken(Answers, "%s: %s", m.threadName(t), k.text)
	}
	return nil
}

// owe has a thread that recovers the lock remove the levels of the dead below the
// one that it has climbed to.
func (m *model) owe(s *state, t, top int) {
	for l := 1; l < top; l++ {
		if f := s.lv[l]; f >= 0 && s.ownerDead(s.f[f].owner) && m.mayTell(s, m.procOf[t], &s.f[f]) {
			s.f[f].debt = int8(t) + 1
		}
	}
}

// settleDebts forgets what a thread had to remove, at the end of its call, and
// returns a level that is still there, or 0.
func (m *model) settleDebts(s *state, t int) (level int) {
	for l, f := range s.lv {
		if f >= 0 && s.f[f].debt == int8(t)+1 {
			s.f[f].debt = 0
			level = l
		}
	}
	return level
}

func (m *model) count(site faultSite, k markKind) {
	c := m.faultCount[site]
	if c == nil {
		c = &faultCount{}
		m.faultCount[site] = c
	}
	switch k {
	case markFailed:
		c.surfaced++
	case markAcquired:
		c.acquired++
	case markRefused:
		c.refused++
	case markReleased:
		c.released++
	default:
		c.other++
	}
}

// mayFail tells whether there is a reason for an error that was not injected.
func (m *model) mayFail(s *state, t int) bool {
	if m.cfg.Rules.Waits {
		return true // the end of its context
	}
	for _, dir := range m.cfg.Start {
		for _, c := range dir {
			if c == StartForeign {
				return true
			}
		}
	}
	return false
}

// leaves checks that a thread that does not hold the lock has no file.
func (m *model) leaves(s *state, t int) *violation {
	for l, f := range s.lv {
		if f >= 0 && int(s.f[f].by) == t {
			return broken(NoFailure, "%s does not hold the lock, and leaves L%d in everybody's way", m.threadName(t), l)
		}
	}
	return m.leavesSub(s, t)
}

// inTheWay tells whether somebody, of whom t cannot know that he is dead, owns
// the directory or recovers it.
func (m *model) inTheWay(s *state, t int) bool {
	for _, f := range s.lv {
		if f < 0 || int(s.f[f].by) == t {
			continue
		}
		if x := &s.f[f]; !s.gone(x) || !m.mayTell(s, m.procOf[t], x) {
			return true
		}
	}
	return m.inTheWaySub(s, t)
}

// watchHeld notes for every thread that is inside a call whether anybody is in
// its way.
func (m *model) watchHeld(s *state) *violation {
	if !m.cfg.Rules.Held {
		return nil
	}
	for t := range m.nt {
		th := &s.t[t]
		if s.dead>>m.procOf[t]&1 == 0 && !th.busy && !m.idle(s, t) {
			th.busy = m.inTheWay(s, t)
		}
	}
	return nil
}

func (m *model) threadName(t int) string {
	if t < 0 {
		return "nobody"
	}
	if t == m.lone {
		return "a lone process"
	}
	return string(rune('A' + t))
}
