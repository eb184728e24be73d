package explore

import (
	"fmt"
	"slices"

	"github.com/dirlock/dirlock/fsys"
)

// Directories in the directory, as a search and its properties see them.

// startSub makes what a start directory has of them.
func (s *state) startSub(level int, c rune) {
	if level != 0 {
		panic("explore: only level 0 can be a directory")
	}
	which := subReaders
	if c == StartClaim {
		which = subClaims
	}
	s.dirs[which] = true
	if c != StartEmpty {
		s.f[0] = file{owner: ownerGhost, by: none, level: int8(levelSub + which), used: true, inSub: true, wide: s.wide}
	}
}

// within tells whether a file is in one of the directories.
func (x *file) within(which int8) bool { return x.used && x.level == levelSub+which }

// filesIn returns the files in one of them.
func (s *state) filesIn(which int8) (files []int8) {
	for i := range s.f {
		if s.f[i].within(which) {
			files = append(files, int8(i))
		}
	}
	return files
}

// inSubs returns the files in all of them, as bits.
func (s *state) inSubs() (files uint32) {
	for i := range s.f {
		if s.f[i].used && s.f[i].level >= levelSub {
			files |= 1 << i
		}
	}
	return files
}

// tracesSubs returns the processes of which files there speak.
func (s *state) tracesSubs() (tr uint32) {
	for i := range s.f {
		if x := &s.f[i]; x.used && x.level >= levelSub && x.owner >= 0 && x.owner < ownerGhost {
			tr |= 1 << x.owner
		}
	}
	return tr
}

// visible returns the level files and those of the readers.
func (s *state) visible() []int8 {
	if !s.dirs[subReaders] {
		return s.lv[:]
	}
	return append(s.filesIn(subReaders), s.lv[:]...)
}

// moveL0 notes that level 0 has come or gone, for those who are inside a call.
func (m *model) moveL0(s *state) {
	if !m.cfg.Rules.Held {
		return
	}
	for t := range m.nt {
		if s.dead>>m.procOf[t]&1 == 0 && !m.idle(s, t) {
			s.t[t].moved = true
		}
	}
}

// endAttempt notes whether level 0 has come or gone in an attempt.
func (m *model) endAttempt(th *thread) {
	if m.cfg.Rules.Held {
		th.still = th.still || !th.moved
		th.moved = false
	}
}

// order returns the files of a listing by a thread: those that it knows first,
// and the others in the order that the variant says.
func (m *model) order(s *state, t int, which int8) (files []int8) {
	th := &s.t[t]
	all := s.filesIn(which)
	if m.cfg.Rules.Partial {
		for i, f := range all {
			if m.variant>>i&1 == 0 {
				files = append(files, f)
			}
		}
		all, files = files, nil
	}
	for _, f := range th.b[:th.nb] {
		if slices.Contains(all, f) {
			files = append(files, f)
			all = slices.DeleteFunc(all, func(g int8) bool { return g == f })
		}
	}
	v := m.variant
	if m.cfg.Rules.Partial {
		v = 0
	}
	for n := len(all); n > 0; n = len(all) {
		i := v % n
		v /= n
		files = append(files, all[i])
		all = slices.Delete(all, i, i+1)
	}
	return files
}

// variants is how many results the next operation of a thread can have.
func (m *model) variants(s *state, t int) int {
	n := m.node(s, t)
	if n.op.kind == opChoose {
		return 2
	}
	which := s.t[t].sub[max(n.op.a, 0)%maxSubs]
	if n.op.kind != opListSub || which == subGone {
		return 1
	}
	all := s.filesIn(which)
	if m.cfg.Rules.Partial {
		return 1 << len(all)
	}
	v, th := 1, &s.t[t]
	n2 := 0
	for _, f := range all {
		if !slices.Contains(th.b[:th.nb], f) {
			n2++
			v *= n2
		}
	}
	if v > 32 {
		panic("explore: too many files in a directory")
	}
	return v
}

// stepSub lets a thread do an operation on a directory. Half says that the file was
// read, and its witness not asked for yet.
func (m *model) stepSub(s *state, t int, o op, how action) (r result, bad *violation, half bool) {
	th := &s.t[t]
	isFile := o.a == subReaders && s.lv[0] >= 0
	switch o.kind {
	case opMkdir:
		if s.dirs[o.a] || isFile {
			return resExist, nil, false
		}
		s.dirs[o.a] = true
		if o.a == subReaders {
			m.moveL0(s)
		}
		return resOK, nil, false
	case opOpenSub:
		switch {
		case s.dirs[o.a]:
			th.sub[o.b] = o.a
			return resOK, nil, false
		case isFile:
			return resNo, nil, false
		}
		return resGone, nil, false
	case opRmdir:
		r, bad = m.rmdir(s, t, o.a, isFile)
		return r, bad, false
	}
	which := th.sub[o.a]
	if which == subGone {
		return resGone, nil, false
	}
	switch o.kind {
	case opListSub:
		files := m.order(s, t, which)
		if len(files) > maxInList {
			panic("explore: too many files in a directory")
		}
		r = resNames | result(len(files))<<4
		for i, f := range files {
			e := slices.Index(th.b[:th.nb], f)
			if e < 0 {
				e = newInList
				th.unread |= 1 << th.nb
				th.b[th.nb] = f
				th.nb++
			}
			r |= result(e) << (7 + 5*i)
		}
		return r, nil, false
	case opCreateSub:
		f := s.newFile()
		s.f[f] = file{owner: int8(m.procOf[t]), by: int8(t), level: levelSub + which, open: true, used: true, inSub: true, wide: o.b&createWide != 0}
		th.b[th.nb] = f
		th.nb++
		if o.b&createOld != 0 {
			bad = broken(Unique, "%s creates a second file with one record", m.threadName(t))
		}
		return resOK, bad, false
	}
	f := th.b[o.b]
	if th.half == 0 && !s.f[f].within(which) {
		return resGone, nil, false
	}
	switch o.kind {
	case opReadSub:
		if th.half != 0 {
			return m.witnessed(s, t, how), nil, false
		}
		r = m.see(s, t, f)
		if m.cfg.Rules.Witness {
			th.half = r
			return r, nil, true
		}
	case opRemoveSub:
		bad = m.mayTouch(s, t, f, "removes")
		m.unlinkSub(s, f)
		r = resOK
	case opNotifySub:
		th.watchF, th.eventF = inBinding+o.b, false
		r = resOK
	}
	return r, bad, false
}

// rmdir lets a thread remove a directory.
func (m *model) rmdir(s *state, t int, which int8, isFile bool) (r result, bad *violation) {
	if !s.dirs[which] {
		if isFile {
			return resNo, nil
		}
		return resGone, nil
	}
	files := s.filesIn(which)
	if len(files) > 0 && !m.cfg.Rules.Empties {
		return resExist, nil
	}
	for _, f := range files {
		if v := m.mayTouch(s, t, f, "removes, with the directory,"); bad == nil {
			bad = v
		}
		m.unlinkSub(s, f)
	}
	s.dirs[which] = false
	for u := range s.t {
		for i := range s.t[u].sub {
			if s.t[u].sub[i] == which {
				s.t[u].sub[i] = subGone
			}
		}
	}
	if which == subReaders {
		m.moveL0(s)
	}
	return resOK, bad
}

func (m *model) unlinkSub(s *state, f int8) {
	s.f[f].level = none
	for t := range m.nt {
		th := &s.t[t]
		if k := th.watchF - inBinding; k >= 0 && k < th.nb && th.b[k] == f {
			th.eventF = true
		}
	}
}

// witnessed answers the question for the witness of a file that was read.
func (m *model) witnessed(s *state, t int, how action) result {
	th, p := &s.t[t], m.procOf[t]
	f := &s.f[m.halfFile(s, t)]
	w := result(fsys.Free)
	if f.weak && (m.where(p).Mount == 0 || !m.cfg.Rules.Views) {
		w = result(fsys.HeldWeakly)
	}
	if f.open && !s.ownerDead(f.owner) && m.sees(p, f.owner) {
		w = result(m.vouches())
	}
	if how == actFail {
		w = result(fsys.NoWitness)
	}
	r := th.half | w<<14
	th.half = 0
	return r
}

// readerFile returns the file with which a thread has the lock for reading, or
// none.
func (m *model) readerFile(s *state, t int) int8 {
	for _, f := range s.filesIn(subReaders) {
		if int(s.f[f].by) == t {
			return f
		}
	}
	return none
}

// leavesSub is leaves for files in directories.
func (m *model) leavesSub(s *state, t int) *violation {
	for i := range s.f {
		if x := &s.f[i]; x.used && x.level >= levelSub && int(x.by) == t {
			name := readersName
			if x.within(subClaims) {
				name = claimsName
			}
			return broken(NoFailure, "%s does not hold the lock, and leaves a file in %s in others' way", m.threadName(t), name)
		}
	}
	return nil
}

// leavesOrClaims tells whether a thread has no file but a claim.
func (m *model) leavesOrClaims(s *state, t int) bool {
	for i := range s.f {
		if x := &s.f[i]; x.used && x.level >= 0 && !x.within(subClaims) && int(x.by) == t {
			return false
		}
	}
	return true
}

// inTheWaySub is inTheWay for files in directories.
func (m *model) inTheWaySub(s *state, t int) bool {
	which := int8(subReaders)
	if call := m.node(s, t).call; call == TryRLock || call == RLock {
		which = subClaims
	}
	for _, f := range s.filesIn(which) {
		if x := &s.f[f]; int(x.by) != t && (!s.gone(x) || !m.mayTell(s, m.procOf[t], x)) {
			return true
		}
	}
	return false
}

// claims tells whether there is the claim of a writer that lives.
func (m *model) claims(s *state) bool {
	for _, f := range s.filesIn(subClaims) {
		if !s.gone(&s.f[f]) {
			return true
		}
	}
	return false
}

// litter checks that nothing is left when all have ended, and nothing went wrong.
func (m *model) litter(s *state) *violation {
	if !m.cfg.Rules.Shares || !s.clean || s.deaths > 0 || s.faults > 0 || s.meddled > 0 || s.reexecs > 0 {
		return nil
	}
	for t := range m.nt {
		if m.node(s, t).op.kind != opDone {
			return nil
		}
	}
	for i, there := range s.dirs {
		if there {
			return broken(Clean, "all have ended, nobody died, and the directory %s is still there", []string{readersName, claimsName}[i])
		}
	}
	return nil
}

// mayJoin tells whether a process that comes now must get the lock for reading:
// nobody is inside a call, nobody but readers holds the lock, no writer that may be
// alive has a claim.
func (m *model) mayJoin(s *state) bool {
	tr := m.traces(s)
	for t := range m.nt {
		p := m.procOf[t]
		if s.dead>>p&1 != 0 {
			continue
		}
		if th := &s.t[t]; th.hold >= 0 && !th.lost && !th.shares {
			return false
		}
		if tr>>p&1 != 0 && (!m.idle(s, t) && !m.asleep(s, t) || m.closing(s, t)) {
			return false
		}
	}
	files := s.filesIn(subClaims)
	if !s.dirs[subReaders] {
		files = append(files, s.lv[:]...)
	}
	for _, f := range files {
		if f < 0 {
			continue
		}
		if x := &s.f[f]; x.owner == ownerForeign || !s.gone(x) || !m.someoneTells(s, x) || x.weak && (x.torn || x.owner == ownerTorn) {
			return false
		}
	}
	return true
}

// joins lets a process that comes now acquire and release the lock for reading.
func (m *model) joins(of *state) *violation {
	key := m.loneKey(of) ^ 0x5bd1e995
	if m.loneCache[key] {
		return nil
	}
	m.loneRuns++
	s, prog, held := *of, m.cfg.LoneReader, false
	defer m.comeAlone(&s, prog)()
	for range 1000 {
		if m.node(&s, m.lone).op.kind == opDone {
			break
		}
		if v := m.step(&s, m.lone, actStep); v != nil {
			return v.alone(prog)
		}
		held = held || s.t[m.lone].hold >= 0
	}
	if !held {
		return broken(NoLockOut, "nobody but readers has the lock who may be alive, and a lone reader is refused it").alone(prog)
	}
	if v := m.leavesSub(&s, m.lone); v != nil {
		return v.alone(prog)
	}
	if s.dirs[subReaders] && len(s.filesIn(subReaders)) == 0 {
		return broken(Clean, "a lone reader has released the lock, and its empty directory is still there").alone(prog)
	}
	m.loneCache[key] = true
	return nil
}

// loneSubKey is the part of loneKey about directories.
func (m *model) loneSubKey(s *state) uint64 {
	h := uint64(1)
	for which, there := range s.dirs {
		if !there {
			continue
		}
		sum := uint64(which) + 1
		for _, f := range s.filesIn(int8(which)) {
			x := &s.f[f]
			c := uint64(m.place(m.np, x.owner)) | uint64(m.fate(s, x))<<24 | uint64(m.where(int(x.owner)).Machine+1)<<18
			if s.ownerDead(x.owner) {
				c |= 1 << 4
			}
			if m.sees(m.np, x.owner) {
				c |= 1 << 5
			}
			sum += mix(77, c+3)
		}
		h = mix(h, sum)
	}
	return h << 2
}

// subSig is the part of a thread's signature about the directories that it has
// open.
func (m *model) subSig(s *state, t int, h uint64) uint64 {
	if !m.cfg.Rules.Shares {
		return h
	}
	open := m.node(s, t).subs
	for i, which := range s.t[t].sub {
		if open>>i&1 != 0 {
			h = mix(h, uint64(which)+uint64(i)<<8+99)
		}
	}
	return mix(h, uint64(s.t[t].unread))
}

// openKey writes down the directories that a thread has open, and what it has not
// read.
func (m *model) openKey(s *state, t int, b []byte) []byte {
	if !m.cfg.Rules.Shares {
		return b
	}
	open := m.node(s, t).subs
	for i, which := range s.t[t].sub {
		if open>>i&1 != 0 {
			b = append(b, 0x80|byte(which))
		}
	}
	u := s.t[t].unread
	return append(b, byte(u), byte(u>>8), byte(u>>16))
}

// subKey writes down the directories and what is in them, in an order that depends
// on no name but where that makes no difference, and returns what stands for each
// file.
func (m *model) subKey(s *state, order []int8, threadName [64]int8, name func(*file, bool) byte, b []byte) ([]byte, [maxFiles]byte) {
	var names [maxFiles]byte
	if !m.cfg.Rules.Shares {
		return b, names
	}
	var sigs [maxFiles]uint64
	next := byte(0x30)
	for which, there := range s.dirs {
		if !there {
			continue
		}
		b = append(b, 0xfc, byte(which))
		files := s.filesIn(int8(which))
		for _, f := range files {
			sigs[f] = m.subFileSig(s, f, order)
		}
		slices.SortFunc(files, func(f, g int8) int {
			switch {
			case sigs[f] < sigs[g]:
				return -1
			case sigs[f] > sigs[g]:
				return 1
			}
			return 0
		})
		for _, f := range files {
			x := &s.f[f]
			names[f] = next
			next++
			by := byte(0)
			if x.by >= 0 && s.dead>>m.procOf[x.by]&1 == 0 {
				by = byte(threadName[x.by] + 1)
			}
			b = append(b, name(x, true), m.fate(s, x), by)
		}
	}
	return b, names
}

// subFileSig is a number that two files share only if nothing tells them apart.
func (m *model) subFileSig(s *state, f int8, order []int8) uint64 {
	x := &s.f[f]
	h := uint64(m.fate(s, x))
	if s.ownerDead(x.owner) {
		h |= 1 << 8
	}
	if x.owner >= ownerGhost {
		h |= uint64(x.owner) << 16
	}
	for i, t := range order {
		th := &s.t[t]
		for k, g := range th.b[:th.nb] {
			if g == f {
				h = mix(h, uint64(i)<<8|uint64(k)+1)
			}
		}
		if int(x.by) == int(t) {
			h = mix(h, uint64(i)+1000)
		}
	}
	return h
}

// readers is what the directory of readers looks like in a trace.
func (a *actors) readers(before []FileView) FileView {
	v := FileView{Text: "{"}
	for i, f := range a.s.filesIn(subReaders) {
		if i > 0 {
			v.Text += " "
		}
		v.Text += a.label[a.fileName[f]]
		if a.s.ownerDead(a.s.f[f].owner) {
			v.Text += "†"
		}
	}
	v.Text += "}"
	v.New = before != nil && before[0].Text != v.Text
	return v
}

// brief is what a trace calls a file in a directory.
func (a *actors) brief(id string) string {
	if l := a.label[id]; l != "" {
		return l
	}
	return "own"
}

// startSub makes in the world what a start directory has.
func (a *actors) startSub(level int, c rune) {
	name := readersName
	if c == StartClaim {
		name = claimsName
	}
	a.disk.Mkdir(dir + name)
	if c == StartEmpty {
		return
	}
	p := a.table(0, 0).Start("earlier")
	id, _ := p.Self()
	p.Kill()
	nonce := [16]byte{0xee, byte(level)}
	data := a.m.rs.record(id, facts{a.m.cfg.Rules.Network, mountOf(a.m.where(ownerGhost))}, nonce)
	a.disk.Put(dir+name+"/"+idOf(nonce), data)
	a.name[string(data)] = "stale r"
	a.fileName[0], a.label[idOf(nonce)] = idOf(nonce), "stale r"
	a.ghosts = append(a.ghosts, id)
}

// doSub carries out an operation on a directory in the world. It returns false
// after the first half of a read.
func (a *actors) doSub(t int, th *actor, x action, half bool, step *TraceStep) bool {
	c, p := th.call, th.p
	d := a.dir(a.m.procOf[t])
	switch c.kind {
	case opMkdir:
		p.a.err = fsys.MakeDir(d, c.name)
	case opRmdir:
		if p.a.err = fsys.RemoveDir(d, c.name); a.m.cfg.Rules.Empties {
			a.disk.Remove(dir + c.name)
			p.a.err = nil
		}
	case opOpenSub:
		var real fsys.Subdir
		if real, p.a.err = fsys.OpenSubdir(d, c.name); p.a.err == nil {
			p.a.sub = &procSub{name: c.name, real: real}
		}
	case opListSub:
		a.m.variant = x.variant()
		if which := a.s.t[t].sub[a.m.node(a.s, t).op.a]; which == subGone {
			p.a.names, p.a.err = c.sub.real.List("")
		} else {
			for _, f := range a.m.order(a.s, t, which) {
				p.a.names = append(p.a.names, a.fileName[f])
			}
		}
		a.m.variant = 0
		step.Result = fmt.Sprintf("%d files", len(p.a.names))
	case opCreateSub:
		next := *a.s
		f, err := c.sub.real.Create(c.name2, c.data)
		if p.a.err = err; err == nil {
			p.a.file = &procFile{p: p, real: f}
			th.files = append(th.files, f)
			th.records++
			label := fmt.Sprintf("%s%d", a.m.threadName(t), th.records)
			a.name[string(c.data)], a.label[c.name2] = label, label
			a.fileName[next.newFile()] = c.name2
		}
	case opReadSub:
		if !half {
			th.snap, th.finish, p.a.err = a.read(c.sub.real, c.name2)
			p.a.snap = th.snap
			step.Result = outcome(p.a.err, a.name[string(th.snap.Data)])
			return th.finish == nil
		}
		th.snap = th.finish()
		if x.kind() == actFail {
			th.snap.Witness = fsys.NoWitness
		}
		p.a.snap = th.snap
		step.Result = th.snap.Witness.String()
	case opRemoveSub:
		p.a.err = c.sub.real.Remove(c.name2)
	case opNotifySub:
		_, p.a.err = c.sub.real.Read(c.name2)
	}
	if step.Result == "" {
		step.Result = outcome(p.a.err, "done")
	}
	if x.kind() == actFailDone && p.a.err == nil {
		p.a.err = pathError(c, ErrInjected)
		step.Result = "done, but an injected error"
	}
	return true
}
