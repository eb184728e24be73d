package explore

import (
	"fmt"
	"slices"
	"time"
)

// Result is what a search has found, and how far it got.
type Result struct {
	Config *Config
	// Complete: there is no state within the bounds of the search that it has
	// not seen. Otherwise the search was cut short, by a limit or a violation.
	Complete  bool
	Violation *Violation

	States    int // up to names
	Steps     int // operations, deaths and so on that were let happen
	Merged    int // steps that led to a known state
	Depth     int // steps of the longest way that was followed
	Quiescent int // states in which a lone process had to acquire the lock
	LoneRuns  int // … that differ in what that process can see
	Histories int // histories of answers that a thread can have
	Runs      int // runs of the code under test
	Time      time.Duration
	Faults    []FaultLine
}

// FaultLine says what became of the errors injected into one kind of operation
// of one kind of call.
type FaultLine struct {
	Call, Op                                     string
	Surfaced, Acquired, Refused, Released, Other int
}

// String tells the result in a line.
func (r *Result) String() string {
	how := "complete"
	switch {
	case r.Violation != nil:
		how = "stopped at a violation of: " + r.Violation.Property
	case !r.Complete:
		how = "CUT SHORT"
	}
	return fmt.Sprintf("%s: %s: %d states, %d steps, %d merged, depth %d, %d quiescent states (%d kinds), %d histories, %d runs of the code, %.1f s, %.2f M steps/s",
		r.Config.Name, how, r.States, r.Steps, r.Merged, r.Depth, r.Quiescent, r.LoneRuns, r.Histories, r.Runs, r.Time.Seconds(),
		float64(r.Steps)/1e6/max(r.Time.Seconds(), 1e-9))
}

// Violation is a schedule after which a property does not hold.
type Violation struct {
	Property string
	Detail   string
	config   *Config
	start    string
	acts     []action
	exact    bool // acts has the silent steps, too
}

// Explore goes through all interleavings, depth first. It keeps nothing but a
// fingerprint of 64 bits of every state.
func Explore(cfg *Config) *Result { return search(cfg, false) }

// Shortest goes through all interleavings, breadth first, so that the first
// violation is the shortest. It keeps more of every state than Explore.
func Shortest(cfg *Config) *Result { return search(cfg, true) }

func search(cfg *Config, breadth bool) *Result {
	m := newModel(cfg)
	r := &Result{Config: cfg}
	begin := time.Now()
	w := &walk{m: m, r: r, seen: newSet(), begin: begin}
	if breadth {
		w.breadth()
	} else {
		w.depth()
	}
	if cfg.Verify {
		m.rs.checkForgotten()
	}
	r.Time = time.Since(begin)
	r.Complete = r.Violation == nil && !w.cut
	r.States = w.seen.n
	r.Steps += m.closures
	r.LoneRuns, r.Quiescent = m.loneRuns, m.quiescent
	r.Histories, r.Runs = len(m.rs.nodes), m.rs.runs
	for site, c := range m.faultCount {
		op := opNames[site.op]
		if site.witness {
			op = "ask for the witness"
		}
		r.Faults = append(r.Faults, FaultLine{site.call, op, c.surfaced, c.acquired, c.refused, c.released, c.other})
	}
	slices.SortFunc(r.Faults, func(a, b FaultLine) int {
		if a.Call != b.Call {
			return cmpString(a.Call, b.Call)
		}
		return cmpString(a.Op, b.Op)
	})
	return r
}

func cmpString(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

type walk struct {
	m     *model
	r     *Result
	seen  *set
	begin time.Time
	cut   bool
}

func (w *walk) limit() bool {
	c := w.m.cfg
	if c.MaxStates > 0 && w.seen.n >= c.MaxStates || c.MaxTime > 0 && w.r.Steps%1024 == 0 && time.Since(w.begin) > c.MaxTime {
		w.cut = true
	}
	return w.cut
}

// try lets something happen in a copy of a state, and tells whether the new
// state is worth going on from.
func (w *walk) try(from, to *state, a action) (fresh bool, v *violation) {
	*to = *from
	w.r.Steps++
	if v := w.m.apply(to, a); v != nil {
		return false, v
	}
	if v := w.m.settle(to, nil); v != nil {
		return false, v
	}
	if !w.seen.add(w.m.key(to)) {
		w.r.Merged++
		return false, nil
	}
	return true, w.m.inspect(to)
}

func (w *walk) starts(f func(dir string, s *state) bool) {
	for _, dir := range w.m.cfg.Start {
		s := w.m.start(dir)
		if v := w.m.settle(s, nil); v != nil {
			w.violated(v, dir, nil)
			return
		}
		if !w.seen.add(w.m.key(s)) {
			continue
		}
		if v := w.m.inspect(s); v != nil {
			w.violated(v, dir, nil)
			return
		}
		if !f(dir, s) {
			return
		}
	}
}

func (w *walk) violated(v *violation, dir string, acts []action) {
	w.r.Violation = &Violation{Property: v.property, Detail: v.detail, config: w.m.cfg, start: dir, acts: acts}
}

type frame struct {
	s    state
	acts []action
	next int
}

func (w *walk) depth() {
	var stack []frame
	w.starts(func(dir string, s *state) bool {
		push := func(depth int) {
			if depth == len(stack) {
				stack = append(stack, frame{})
			}
			f := &stack[depth]
			f.acts = w.m.actions(&f.s, f.acts[:0])
			f.next = 0
			w.r.Depth = max(w.r.Depth, depth)
		}
		if len(stack) == 0 {
			stack = append(stack, frame{})
		}
		stack[0].s = *s
		push(0)
		for depth := 0; depth >= 0; {
			f := &stack[depth]
			if f.next == len(f.acts) {
				depth--
				continue
			}
			a := f.acts[f.next]
			f.next++
			if depth+1 == len(stack) {
				stack = append(stack, frame{})
				f = &stack[depth]
			}
			fresh, v := w.try(&f.s, &stack[depth+1].s, a)
			if v != nil {
				var acts []action
				for i := range depth + 1 {
					acts = append(acts, stack[i].acts[stack[i].next-1])
				}
				w.violated(v, dir, acts)
				return false
			}
			if fresh {
				depth++
				push(depth)
			}
			if w.limit() {
				return false
			}
		}
		return true
	})
}

func (w *walk) breadth() {
	type from struct {
		parent int32
		act    action
	}
	var tree []from
	var now, later []state
	var ids, laterIDs []int32
	var dirs []string
	w.starts(func(dir string, s *state) bool {
		ids = append(ids, int32(len(tree)))
		tree = append(tree, from{-1 - int32(len(dirs)), 0})
		dirs = append(dirs, dir)
		now = append(now, *s)
		return true
	})
	var acts []action
	var to state
	for depth := 1; len(now) > 0 && w.r.Violation == nil; depth++ {
		w.r.Depth = depth
		for i := range now {
			acts = w.m.actions(&now[i], acts[:0])
			for _, a := range acts {
				fresh, v := w.try(&now[i], &to, a)
				if v != nil {
					way := []action{a}
					id := ids[i]
					for ; tree[id].parent >= 0; id = tree[id].parent {
						way = append(way, tree[id].act)
					}
					slices.Reverse(way)
					w.violated(v, dirs[-1-tree[id].parent], way)
					return
				}
				if fresh {
					laterIDs = append(laterIDs, int32(len(tree)))
					tree = append(tree, from{ids[i], a})
					later = append(later, to)
				}
				if w.limit() {
					return
				}
			}
		}
		now, later = later, now[:0]
		ids, laterIDs = laterIDs, ids[:0]
	}
}

// inspect checks what must hold of a new state.
func (m *model) inspect(s *state) *violation {
	if v := m.inspectAll(s); m.matters(v) {
		return v
	}
	return nil
}

func (m *model) inspectAll(s *state) *violation {
	if m.cfg.Agrees != nil {
		if v := m.agrees(s); v != nil {
			return v
		}
	}
	if v := m.litter(s); v != nil {
		return v
	}
	if m.cfg.LoneReader != nil && m.mayJoin(s) {
		if v := m.joins(s); v != nil {
			return v
		}
	}
	if !m.mayRecover(s) {
		return nil
	}
	for t := range m.nt {
		if s.dead>>m.procOf[t]&1 == 0 && m.idle(s, t) && s.t[t].hold < 0 && !m.closing(s, t) {
			if v := m.leaves(s, t); v != nil {
				return v
			}
		}
	}
	for t := range m.nt {
		if m.cfg.Rules.Waits && s.dead>>m.procOf[t]&1 == 0 && m.asleep(s, t) {
			if v := m.wakes(s, t); v != nil {
				return v
			}
		}
	}
	if l := s.looseNote(); l >= 0 && m.nothingHappened(s) {
		return broken(Clean, "nobody died and nobody is inside a call, and L%d%s is there without L%d", l, noteSuffix, l)
	}
	if m.cfg.Lone == nil {
		return nil
	}
	m.quiescent++
	key := m.loneKey(s)
	if m.loneCache[key] {
		return nil
	}
	m.loneRuns++
	var v *violation
	if m.cfg.Each {
		v = m.inTurn(*s)
	} else {
		v = m.alone(*s)
	}
	if v != nil {
		return v
	}
	m.loneCache[key] = true
	return nil
}

// agrees lets a process come that finds nobody moving, looks at the lock, and
// then tries to take it: the two answers must agree.
func (m *model) agrees(s *state) *violation {
	key := m.loneKey(s)
	if m.agreeCache[key] {
		return nil
	}
	m.agreeCache[key] = true
	m.agreeRuns++
	now := *s
	defer m.comeAlone(&now, m.cfg.Agrees)()
	for m.can(&now, m.lone) {
		if v := m.step(&now, m.lone, actStep); v != nil && v.property == Answers {
			return v.alone(m.cfg.Agrees)
		}
	}
	return nil
}

// inTurn lets lone processes come, on each machine in turn, each of which
// removes what it can judge: one of them must get the lock.
func (m *model) inTurn(s state) *violation {
	defer func() { m.loneOn = 0 }()
	var v *violation
	for range maxLevels {
		for _, m.loneOn = range m.loneMachines() {
			if v = m.alone(s); v == nil || v.property != NoLockOut {
				return v
			}
			m.refused(&s)
		}
	}
	return v
}

// refused lets a lone process do what it does until it is refused the lock.
func (m *model) refused(s *state) {
	defer m.comeAlone(s, m.cfg.Lone)()
	for m.can(s, m.lone) {
		if m.step(s, m.lone, actStep) != nil {
			break
		}
	}
	s.t[m.lone] = thread{hold: none, watchF: none, watchP: none}
	for i := range s.f {
		if int(s.f[i].by) == m.lone {
			panic("explore: a process that was refused has left a file")
		}
	}
}

// closing tells whether a thread has an Unlock to repeat, which failed.
func (m *model) closing(s *state, t int) bool {
	n := m.node(s, t)
	return (n.call == Unlock || n.call == RUnlock) && n.op.kind != opDone
}

// asleep tells whether a thread waits, and has no file.
func (m *model) asleep(s *state, t int) bool {
	n := m.node(s, t)
	return m.cfg.Rules.Waits && s.t[t].half == 0 && n.op.kind == opPause && (n.call == Lock || n.call == RLock) && m.leavesOrClaims(s, t)
}

// How long a waiter may sleep before it looks by itself.
const (
	longestPoll = 100 * time.Millisecond // if nothing would wake it
	longestBeat = 15 * time.Second       // if events do, but can be lost
)

// wakes checks a waiter that sleeps while nobody has the lock or is about to
// take it: either an event wakes it, or it looks soon enough by itself; and
// when it looks, it gets the lock.
func (m *model) wakes(s *state, t int) *violation {
	n := m.node(s, t)
	th := &s.t[t]
	switch {
	case n.beat > longestBeat:
		return broken(NoLostWake, "%s sleeps for %v", m.threadName(t), n.beat)
	case n.beat > longestPoll && !th.eventF && !th.eventP && !s.dropped:
		return broken(NoLostWake, "%s sleeps for %v while nobody has the lock, and no event is on its way", m.threadName(t), n.beat)
	case n.pauses > 1:
		return nil // it may give up too soon to tell
	case n.call == RLock && m.claims(s):
		return nil // the writer is woken, and goes first
	}
	now := *s
	now.faults = 1
	for range 200 {
		if !m.can(&now, t) {
			break
		}
		if v := m.step(&now, t, actStep); v != nil {
			return v
		}
		if now.t[t].hold >= 0 {
			return nil
		}
	}
	return broken(NoLostWake, "%s waits although nobody has the lock, and looking does not help", m.threadName(t))
}

// mayRecover tells whether nobody is inside a call, and nobody owns the
// directory who is not known to be dead. A process that nothing speaks of may
// be anywhere: it could as well be dead.
func (m *model) mayRecover(s *state) bool {
	tr := m.traces(s)
	for t := range m.nt {
		p := m.procOf[t]
		if s.dead>>p&1 != 0 {
			continue
		}
		if s.t[t].hold >= 0 && !s.t[t].lost {
			return false
		}
		if tr>>p&1 != 0 && (!m.idle(s, t) && !m.asleep(s, t) || m.closing(s, t)) {
			return false
		}
	}
	for _, f := range s.visible() {
		if f < 0 {
			continue
		}
		switch x := &s.f[f]; {
		case x.owner == ownerForeign:
			return false
		case s.gone(x):
			// A torn record does not say which kind of lock its owner had.
			if !m.someoneTells(s, x) || x.weak && (x.torn || x.owner == ownerTorn) {
				return false
			}
		case x.by < 0 || s.t[x.by].hold >= 0:
			// Its owner has it open, and has lost it: what it will do to it is
			// its own business.
			return false
		}
	}
	return true
}

// someoneTells tells whether a lone process could know that the owner of a file
// is dead or has let go of it.
func (m *model) someoneTells(s *state, x *file) bool {
	defer func(was int) { m.loneOn = was }(m.loneOn)
	for _, m.loneOn = range m.loneMachines() {
		if m.mayTell(s, m.np, x) {
			return true
		}
	}
	return false
}

// loneMachines are those that a lone process comes on.
func (m *model) loneMachines() []int {
	if !m.cfg.Each {
		return []int{0}
	}
	var on []int
	for _, p := range m.cfg.Procs {
		if !slices.Contains(on, p.Machine) {
			on = append(on, p.Machine)
		}
	}
	return on
}

// loneKey is a fingerprint of what a process that comes now can see.
func (m *model) loneKey(s *state) uint64 {
	h := m.loneSubKey(s)
	if s.wide {
		h++
	}
	for _, f := range s.lv {
		c := uint64(0)
		if f >= 0 {
			x := &s.f[f]
			switch {
			case x.owner == ownerTorn:
				c = 1
			case x.owner == ownerForeign:
				c = 2
			default:
				c = 4 + uint64(m.place(m.np, x.owner))
				if s.ownerDead(x.owner) {
					c |= 1 << 4
				}
				if m.sees(m.np, x.owner) {
					c |= 1 << 5
				}
				c |= uint64(m.fate(s, x))<<24 | uint64(m.where(int(x.owner)).Machine+1)<<18
				if s.hasNote(x) {
					c |= 1 << 40
				}
				// Owners that are the same, or not.
				for l, g := range s.lv {
					if g >= 0 && s.f[g].owner == x.owner {
						c |= 1 << (8 + l)
					}
				}
			}
		}
		h = mix(h, c+1)
	}
	for l, f := range s.note {
		if f != none {
			h = mix(h, uint64(l)+99)
		}
	}
	return h
}

// alone lets a process that comes now acquire and release the lock, in a copy
// of the world in which nobody else does anything.
func (m *model) alone(s state) *violation {
	t := m.lone
	defer m.comeAlone(&s, m.cfg.Lone)()
	held, recovers := false, s.lv[0] >= 0
	for range 1000 {
		n := m.node(&s, t)
		if n.op.kind == opDone {
			break
		}
		was := s.t[t].hold
		if v := m.step(&s, t, actStep); v != nil {
			return v.alone(m.cfg.Lone)
		}
		if s.t[t].hold >= 0 && was < 0 {
			held = true
			for l, f := range s.lv {
				if l > 0 && f >= 0 {
					if recovers && (!s.gone(&s.f[f]) || m.mayTell(&s, m.np, &s.f[f])) {
						return broken(Clean, "a lone process has recovered the lock, and L%d is still there", l).alone(m.cfg.Lone)
					}
				}
			}
		}
	}
	if l := s.looseNote(); held && recovers && l >= 0 && s.wide && !m.deaf(m.np) {
		return broken(Clean, "a lone process has released the lock that it recovered, and L%d%s is still there", l, noteSuffix).alone(m.cfg.Lone)
	}
	if !held {
		return broken(NoLockOut, "nobody owns the directory who may be alive, and a lone process is refused the lock").alone(m.cfg.Lone)
	}
	if s.dirs[subReaders] {
		return broken(Clean, "a lone process has released the lock, and the directory of the readers is still there").alone(m.cfg.Lone)
	}
	for l, f := range s.lv {
		if f >= 0 && int(s.f[f].by) == t {
			return broken(Clean, "a lone process has released the lock, and L%d is still there", l).alone(m.cfg.Lone)
		}
	}
	return nil
}

// Config returns the search that found the violation.
func (v *Violation) Config() Config { return *v.config }

// comeAlone lets the lone process come, and returns a function that undoes what
// it does to the model. Nobody else does anything from here on.
func (m *model) comeAlone(s *state, prog *Program) (undo func()) {
	live := m.nt
	m.nt = m.lone + 1
	s.faults = 1 // none are injected any more
	s.t[m.lone] = thread{hold: none, watchF: none, watchP: none}
	_, s.t[m.lone].node = m.rs.program(prog)
	return func() { m.nt = live }
}
