package explore

import (
	"fmt"

	"github.com/dirlock/dirlock/fsys"
	"github.com/dirlock/dirlock/fsys/memfs"
)

// Meddling is what somebody outside the protocol may do to files: any program
// that somebody runs in the directory.
type Meddling uint8

const (
	// MeddleRemove: removes the lock of a process that holds it. All that a file
	// loses its name by happens to such files only: in the middle of a call,
	// nothing can protect the next owner.
	MeddleRemove Meddling = 1 << iota
	// MeddleMove: moves it away and, at any time, back.
	MeddleMove
	// MeddleTruncate: truncates it.
	MeddleTruncate
	// MeddleCopy: copies any level file to a level that is free, at any time, or
	// over the lock of a process that holds it: over itself, too.
	MeddleCopy
	// MeddleLock: takes a lock on any level file that every reader can take.
	MeddleLock

	// MeddleAll: all of these.
	MeddleAll = MeddleRemove | MeddleMove | MeddleTruncate | MeddleCopy | MeddleLock
)

// meddleTop is the highest level that is copied to.
const meddleTop = 2

// meddleReader stands for the first file in the directory of the readers, where
// the lock is shared: actions on levels from there on are about those.
const meddleReader = 4

func (m *model) meddlesLeft(s *state) bool { return int(s.meddled) < max(m.cfg.Meddles, 1) }

// vouches is what a process sees of a file that its creator has open.
func (m *model) vouches() fsys.Witness {
	if m.cfg.Rules.Weak {
		return fsys.HeldWeakly
	}
	return fsys.Held
}

// mayMeddle tells whether a file is the lock of somebody who is between two
// calls. In the middle of a call, nothing can protect the next owner.
func (m *model) mayMeddle(s *state, f int8) bool {
	for t := range m.nt {
		if s.t[t].hold == f && m.idle(s, t) {
			return true
		}
	}
	return false
}

// outsiders appends what others than the processes can do.
func (m *model) outsiders(s *state, acts []action) []action {
	r := &m.cfg.Rules
	if r.Meddle != 0 && s.stash >= 0 {
		for l := range meddleTop {
			if s.lv[l] < 0 || m.mayMeddle(s, s.lv[l]) {
				acts = append(acts, actBack|action(l))
			}
		}
	}
	if r.Meddle != 0 && m.meddlesLeft(s) {
		acts = m.meddlings(s, acts)
	}
	if int(s.reexecs) < m.cfg.Reexecs {
		for p := range m.np {
			if s.dead>>p&1 == 0 && m.files(s, p) {
				acts = append(acts, actReexec|action(p))
			}
		}
	}
	if r.Exports && !s.wide {
		acts = append(acts, actExport)
	}
	if r.FalseCreate && !s.lied {
		for t := range m.nt {
			if m.can(s, t) && s.t[t].half == 0 {
				if n := m.node(s, t); n.op.kind == opCreate && s.lv[n.op.a] >= 0 {
					acts = append(acts, actLie|action(t))
				}
			}
		}
	}
	return acts
}

func (m *model) meddlings(s *state, acts []action) []action {
	do := m.cfg.Rules.Meddle
	if m.cfg.Rules.Shares && do&MeddleRemove != 0 {
		for i, f := range s.filesIn(subReaders) {
			if m.mayMeddle(s, f) {
				acts = append(acts, actMeddle|action(meddleReader+i))
			}
		}
	}
	for l, f := range s.lv {
		if f < 0 {
			continue
		}
		if m.mayMeddle(s, f) {
			if do&MeddleRemove != 0 {
				acts = append(acts, actMeddle|action(l))
			}
			if do&MeddleMove != 0 && s.stash < 0 {
				acts = append(acts, actAway|action(l))
			}
			if do&MeddleTruncate != 0 && !s.f[f].torn {
				acts = append(acts, actTruncate|action(l))
			}
		}
		if do&MeddleLock != 0 && !s.f[f].weak {
			acts = append(acts, actFlock|action(l))
		}
		if do&MeddleCopy != 0 && s.f[f].owner >= 0 && !s.f[f].torn {
			top := meddleTop
			if m.cfg.Rules.Leases {
				top = 0 // there are no levels above it that anybody would look at
			}
			for to := range top + 1 {
				if s.lv[to] < 0 || m.mayMeddle(s, s.lv[to]) {
					acts = append(acts, actCopy|action(l<<4|to))
				}
			}
		}
	}
	return acts
}

// files tells whether a process has files.
func (m *model) files(s *state, p int) bool {
	for i := range s.f {
		if s.f[i].used && int(s.f[i].owner) == p && s.f[i].open {
			return true
		}
	}
	return false
}

// holds tells whether a process has a file open with the same record.
func (m *model) holds(s *state, p int, f int8) bool {
	for i := range s.f {
		x := &s.f[i]
		if x.used && x.open && int(x.owner) == p && (int8(i) == f || x.twin > 0 && x.twin == s.f[f].twin) {
			return true
		}
	}
	return false
}

// meddle lets somebody else do something.
func (m *model) meddle(s *state, a action) {
	who := a.who()
	switch a.kind() {
	case actMeddle:
		m.lose(s, who)
	case actAway:
		f := s.lv[who]
		m.lose(s, who)
		s.stash = f
	case actBack:
		m.lose(s, who)
		f := s.stash
		s.stash, s.lv[who], s.f[f].level = none, f, int8(who)
		m.changed(s, who)
		for t := range m.nt {
			if s.t[t].hold == f && who == 0 {
				s.t[t].lost = false
			}
		}
		return // it was one thing to do, to move away and back
	case actTruncate:
		f := s.lv[who]
		x := s.f[f]
		m.lose(s, who)
		x.torn, x.twin, x.by, x.src, x.debt = true, 0, none, f+1, 0
		if !m.cfg.Rules.Witness {
			x.owner = ownerTorn
		}
		g := s.newFile()
		s.lv[who], s.f[g] = g, x
	case actFlock:
		s.f[s.lv[who]].weak = true
	case actCopy:
		from, to := who>>4, who&0xf
		f := s.lv[from]
		if s.f[f].twin == 0 {
			s.f[f].twin = s.meddled + 1
		}
		x := s.f[f]
		x.open, x.by, x.weak, x.src, x.debt, x.level, x.leased = false, none, false, 0, 0, int8(to), false
		m.lose(s, to)
		g := s.newFile()
		s.lv[to], s.f[g] = g, x
	case actReexec:
		s.reexecs++
		m.reexec(s, who)
		return
	case actExport:
		s.wide = true
		return
	}
	s.meddled++
}

// lose takes the name from a file, if there is one, and with it the lock from a
// process that holds it.
func (m *model) lose(s *state, level int) {
	reader := m.cfg.Rules.Shares && level >= meddleReader
	f := s.lv[level]
	if reader {
		f = s.filesIn(subReaders)[level-meddleReader]
	}
	if f < 0 {
		return
	}
	for t := range m.nt {
		if s.t[t].hold == f {
			s.t[t].lost = true
		}
	}
	if reader {
		m.unlinkSub(s, f)
		return
	}
	m.unlink(s, level)
}

// reexec lets a process start its program anew. It lives, with the same PID, and
// holds nothing.
func (m *model) reexec(s *state, p int) {
	i := 0
	for t := range m.nt {
		if m.procOf[t] != p {
			continue
		}
		for l := range s.f {
			x := &s.f[l]
			if x.debt == int8(t)+1 {
				x.debt = 0
			}
			if int(x.by) == t {
				x.by = none
			}
		}
		_, root := m.rs.program(m.cfg.Procs[p].Threads[i])
		s.t[t] = thread{node: root, hold: none, watchF: none, watchP: none}
		i++
	}
	for l := range s.f {
		if s.f[l].used && int(s.f[l].owner) == p {
			s.f[l].open = false
		}
	}
}

// close lets go of a file.
func (m *model) close(s *state, f int8) {
	s.f[f].open = false
	if s.f[f].level < 0 || s.meddled > 0 || m.cfg.Rules.Leases {
		s.f[f].by = none
	}
	for i := range s.f {
		if s.f[i].used && s.f[i].src == f+1 {
			s.f[i].open = false
		}
	}
}

// facts says what a record says of the directory, as a process takes it.
func (m *model) facts(p int, x *file) (r result) {
	if x.wide {
		r |= factWide
	}
	if x.owner >= 0 && m.where(p).Mount != m.where(int(x.owner)).Mount {
		r |= factMount
	}
	return r
}

// What a record says of the directory, in a result.
const (
	factWide  result = 1 << 16 // its owner knew that other machines can reach it
	factMount result = 1 << 17 // its owner used another mount than the reader
)

// What is special about a record that is created.
const (
	createOld  = 1 // there was one with that ID before
	createWide = 2 // it says that other machines can reach the directory
)

// outside carries out in the world what others than the threads do.
func (a *actors) outside(x action, step *TraceStep) error {
	who, mark := x.who(), ""
	for i, k := range markedKinds {
		if k == x.kind() {
			mark = kindMarks[i : i+1]
		}
	}
	fits := false
	for _, y := range a.m.outsiders(a.s, nil) {
		fits = fits || x == y
	}
	if !fits {
		return fmt.Errorf("%w: nobody can do that: %s%d", ErrReplay, mark, who)
	}
	name := levelName(who)
	text := fmt.Sprint(mark, who)
	switch x.kind() {
	case actMeddle:
		if a.m.cfg.Rules.Shares && who >= meddleReader {
			id := a.fileName[a.s.filesIn(subReaders)[who-meddleReader]]
			name = readersName + "/" + id
			step.Op = "somebody else removes " + readersName + "/" + a.brief(id)
		} else {
			step.Op = "somebody else removes " + name
		}
		a.disk.Remove(dir + name)
	case actAway:
		step.Op = "somebody else moves " + name + " away"
		a.disk.Move(dir+name, dir+"away")
	case actBack:
		step.Op = "somebody else moves the file back to " + name
		a.disk.Move(dir+"away", dir+name)
	case actTruncate:
		step.Op = "somebody else truncates " + name
		a.disk.Write(dir+name, []byte(tornData))
	case actFlock:
		step.Op = "somebody else takes a lock on " + name
		a.disk.Lock(dir+name, fsys.HeldWeakly)
	case actCopy:
		from, to := levelName(who>>4), levelName(who&0xf)
		step.Op = "somebody else copies " + from + " to " + to
		text = fmt.Sprintf("%s%d%d", mark, who>>4, who&0xf)
		a.disk.Put(dir+to, []byte(a.disk.Entries(dirPath)[from].Data))
	case actReexec:
		step.Lane = a.m.threadOf(who)
		step.Op = "starts its program anew"
		text = mark + a.m.threadName(step.Lane)
		a.restart(who)
	case actExport:
		step.Op = "other machines begin to reach the directory"
		text = mark
		a.disk.Set(memfs.Network())
	}
	a.text = append(a.text, text)
	return nil
}

// restart starts the program of a process anew.
func (a *actors) restart(p int) {
	for t, th := range a.th {
		if a.m.procOf[t] != p {
			continue
		}
		for _, f := range th.files {
			_ = f.Close() // it may be closed
		}
		th.end()
		*th = actor{records: th.records, starts: th.starts}
	}
}
