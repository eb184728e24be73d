package explore

import "strings"

// Notes of deaths: L1.dead is a copy of the record in L1, and says that its owner
// is dead. A process leaves it for others that cannot know.

const noteSuffix = ".dead"

// oldNote stands for a note of an owner of whom nobody knows any more.
const oldNote = "of an earlier owner"

func isNote(name string) bool { return strings.HasSuffix(name, noteSuffix) }

// noteFile is a note that was created, of which nobody makes any use.
type noteFile struct{}

func (noteFile) Intact(string) (bool, error) { return false, nil }
func (noteFile) Close() error                { return nil }

// noteOfNone is a note of a record that is in no file, and that nobody
// remembers.
const noteOfNone = -2

// notesInList is where the notes begin in the result of a listing.
const notesInList = 4 + maxLevels

// hasNote tells whether there is a note of the death of a file's owner.
func (s *state) hasNote(f *file) bool {
	if f.level < 1 || f.level >= levelSub {
		return false
	}
	n := s.note[f.level]
	return n >= 0 && s.lv[f.level] >= 0 && &s.f[s.lv[f.level]] == f && s.same(n, s.lv[f.level])
}

// same tells whether two files have one record.
func (s *state) same(f, g int8) bool { return f == g || s.f[f].twin > 0 && s.f[f].twin == s.f[g].twin }

// looseNote returns a level that has a note and no file, or none.
func (s *state) looseNote() int {
	for l, n := range s.note {
		if n != none && s.lv[l] < 0 {
			return l
		}
	}
	return none
}

// nothingHappened tells whether all are between two calls, and all that they did
// went well.
func (m *model) nothingHappened(s *state) bool {
	for t := range m.nt {
		if !m.idle(s, t) || m.deaf(m.procOf[t]) {
			return false
		}
	}
	return s.lv[0] < 0 && s.deaths == 0 && s.faults == 0 && s.meddled == 0 && s.reexecs == 0
}

// deaf tells whether a process knows no notes, as earlier versions did not.
func (m *model) deaf(p int) bool {
	return p < m.np && m.cfg.Procs[p].Deaf
}

// stepNote lets a thread make, read or remove a note.
func (m *model) stepNote(s *state, t int, o op) (r result, bad *violation) {
	th := &s.t[t]
	n := s.note[o.a]
	switch o.kind {
	case opNote:
		if n != none {
			return resExist, nil
		}
		f := th.b[o.b]
		if x := &s.f[f]; !s.gone(x) {
			bad = broken(OwnFiles, "%s notes that %s is dead, who is alive", m.threadName(t), m.threadName(int(x.by)))
		}
		s.note[o.a] = f
		for i := range s.f {
			if s.f[i].used && s.same(f, int8(i)) {
				s.f[i].noted = true
			}
		}
	case opHear:
		if n == none {
			return resGone, nil
		}
		for k, g := range th.b[:th.nb] {
			if n >= 0 && s.same(n, g) {
				return resKnown | result(k)<<4, nil
			}
		}
		return resNo, nil
	case opForget:
		if n == none {
			return resGone, nil
		}
		s.note[o.a] = none
		// Who has to remove the level file may not be able to judge it any more.
		if f := s.lv[o.a]; f >= 0 {
			if d := s.f[f].debt; d > 0 && !m.mayTell(s, m.procOf[d-1], &s.f[f]) {
				s.f[f].debt = 0
			}
		}
	}
	return resOK, bad
}

// gcNotes forgets which records are in notes, where that makes no difference any
// more: nobody can compare them with anything.
func (m *model) gcNotes(s *state, keep uint32) {
	for l, n := range s.note {
		if n < 0 || keep>>n&1 != 0 {
			continue
		}
		s.note[l] = noteOfNone
		for i := range s.f {
			if keep>>i&1 != 0 && s.same(n, int8(i)) {
				s.note[l] = int8(i)
			}
		}
	}
}

// noteKey writes down the notes, for a fingerprint of a state.
func (m *model) noteKey(s *state, order []int8, b []byte) []byte {
	for l, n := range s.note {
		if n == none {
			continue
		}
		b = append(b, 0xfd, byte(l))
		if n < 0 {
			continue
		}
		b = append(b, byte(s.f[n].level+1))
		if s.f[n].level >= 0 {
			continue
		}
		for i, t := range order {
			for k, f := range s.t[t].b[:s.t[t].nb] {
				if f == n {
					b = append(b, byte(i), byte(k))
				}
			}
		}
	}
	return b
}
