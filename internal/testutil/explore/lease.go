package explore

import (
	"errors"
	"fmt"
	"slices"

	"github.com/dirlock/dirlock/fsys"
)

// A store in which files hang on leases: see [Rules.Leases].

type leaseDir struct{ notifyDir }

// Swap implements [fsys.Swapper].
func (d leaseDir) Swap(name string, old fsys.Snapshot, data []byte) (fsys.File, error) {
	a := d.p.do(call{kind: opSwap, name: name, old: old, data: data})
	if a.err != nil {
		return nil, a.err
	}
	a.file.p = d.p
	return a.file, nil
}

// Remove implements [fsys.Remover].
func (f *procFile) Remove(name string) (bool, error) {
	if !f.p.rules.Leases {
		return false, errors.ErrUnsupported
	}
	a := f.p.do(call{kind: opRemoveIf, file: f, name: name})
	return a.yes, a.err
}

// What the store says of a file, in a result.
const (
	factLeased result = 1 << 18
	factEnded  result = 1 << 19
)

func (x *file) hangs() result {
	if x.leased {
		return factLeased
	}
	return factEnded
}

// lease is what is known of the lease of a file.
func (x *file) lease(s *state) (b byte) {
	if x.leased {
		b |= 1
	}
	if x.open && !s.ownerDead(x.owner) {
		b |= 2
	}
	return b
}

// flight is a request whose answer nobody waits for any more.
type flight struct {
	kind  callKind
	level int8
	file  int8 // that must be there still, or none
	owner int8 // process
	flags int8 // of the record
}

// asks tells whether the next operation of a thread asks the store for a change.
func (m *model) asks(s *state, t int) bool {
	switch o := m.node(s, t).op; o.kind {
	case opCreate, opSwap:
		return true
	case opRemoveIf:
		return s.f[s.t[t].b[o.a]].open // or the answer is known
	}
	return false
}

// leaseActions appends what can happen to leases and requests.
func (m *model) leaseActions(s *state, acts []action) []action {
	for l, f := range s.lv {
		if f < 0 || !s.f[f].leased {
			continue
		}
		switch x := &s.f[f]; {
		case s.gone(x):
			acts = append(acts, actEnd|action(l))
		case int(s.lapses) == m.cfg.Lapses:
		case m.cfg.Rules.LateClock:
			acts = append(acts, actEnd|action(l))
		default:
			acts = append(acts, actLapse|action(l))
		}
	}
	free := false
	for i := range s.flight {
		if s.flight[i].kind != opNone {
			acts = append(acts, actArrive|action(i))
		} else {
			free = true
		}
	}
	if int(s.late) == m.cfg.Late || !free {
		return acts
	}
	for t := range m.nt {
		if m.can(s, t) && m.asks(s, t) {
			acts = append(acts, actLate|action(t))
			if int(s.deaths) < m.cfg.Deaths {
				acts = append(acts, actDieLate|action(m.procOf[t]))
			}
		}
	}
	return acts
}

// sends lets the request of a thread be under way.
func (m *model) sends(s *state, t int) {
	th, o := &s.t[t], m.node(s, t).op
	x := flight{kind: o.kind, level: o.a, file: none, owner: int8(m.procOf[t]), flags: o.b}
	switch o.kind {
	case opSwap:
		x.file, x.flags = th.b[o.b], o.c
	case opRemoveIf:
		x.level, x.file, x.flags = o.b, th.b[o.a], 0
	}
	s.late++
	for i := range s.flight {
		if s.flight[i].kind == opNone {
			s.flight[i] = x
			break
		}
	}
}

// arrives does what was under way.
func (m *model) arrives(s *state, i int) {
	x := s.flight[i]
	s.flight[i] = flight{}
	there := s.lv[x.level]
	switch {
	case there != x.file:
		return
	case there >= 0:
		m.unlink(s, int(x.level))
	}
	if x.kind == opRemoveIf {
		return
	}
	f := s.newFile()
	s.lv[x.level] = f
	s.f[f] = file{owner: x.owner, by: none, level: x.level, used: true, leased: true, wide: x.flags&createWide != 0}
}

// dropFlights forgets requests that can do nothing any more.
func (m *model) dropFlights(s *state) {
	if !m.cfg.Rules.Leases {
		return
	}
	for i := range s.flight {
		if x := &s.flight[i]; x.kind != opNone && x.file >= 0 && s.lv[x.level] != x.file {
			*x = flight{}
		}
	}
	slices.SortFunc(s.flight[:], func(a, b flight) int {
		return (int(b.kind)<<16 | int(b.level)<<8 | int(b.owner)) - (int(a.kind)<<16 | int(a.level)<<8 | int(a.owner))
	})
}

func (m *model) appendFlights(b []byte, s *state, name *[64]int8) []byte {
	b = append(b, byte(s.lapses)<<4|byte(s.late))
	for i := range s.flight {
		x := &s.flight[i]
		if x.kind == opNone {
			continue
		}
		who := byte(name[x.owner])
		if s.dead>>x.owner&1 != 0 || name[x.owner] < 0 {
			who = 0x80 | byte(x.owner)
		}
		b = append(b, byte(x.kind), byte(x.level), who, byte(x.flags))
	}
	return b
}

// lapse tells the owner of a file that it must take its lease for ended.
func (m *model) lapse(s *state, level int) {
	f := s.lv[level]
	s.lapses++
	s.f[f].open = false
	for t := range m.nt {
		if s.t[t].hold == f {
			s.t[t].lost = true
		}
	}
}

// endLease lets the store remove a file.
func (m *model) endLease(s *state, level int) {
	f := s.lv[level]
	if !s.gone(&s.f[f]) { // LateClock
		s.lapses++
		s.f[f].open = false
	}
	s.f[f].leased = false
	m.unlink(s, level)
}

// swap is that of a thread.
func (m *model) swap(s *state, t int) (r result, bad *violation) {
	th, o := &s.t[t], m.node(s, t).op
	if o.c&createOld != 0 {
		bad = broken(Unique, "%s swaps in a second file with one record", m.threadName(t))
	}
	there := s.lv[o.a]
	switch {
	case there < 0:
		return resGone, bad
	case there != th.b[o.b]:
		return resExist, bad
	}
	if v := m.mayTouch(s, t, there, "replaces"); bad == nil {
		bad = v
	}
	m.unlink(s, int(o.a))
	f := s.newFile()
	s.lv[o.a] = f
	s.f[f] = file{owner: int8(m.procOf[t]), by: int8(t), level: o.a, open: true, used: true, leased: true, wide: o.c&createWide != 0}
	th.b[th.nb] = f
	th.nb++
	return resOK, bad
}

// removeIf is that of a thread.
func (m *model) removeIf(s *state, t int) result {
	th, o := &s.t[t], m.node(s, t).op
	f := th.b[o.a]
	if s.lv[o.b] != f || !s.f[f].open {
		return resNo
	}
	m.unlink(s, int(o.b))
	return resOK
}

// storeAct carries out in the world what happens to leases and requests.
func (a *actors) storeAct(x action, step *TraceStep) error {
	who := x.who()
	fits := slices.Contains(a.m.leaseActions(a.s, nil), x)
	switch x.kind() {
	case actLapse, actEnd:
		if !fits {
			return fmt.Errorf("%w: no lease can end at level %d", ErrReplay, who)
		}
		name := levelName(who)
		if x.kind() == actLapse {
			step.Op = "the owner of " + name + " must take its lease for ended"
			a.text = append(a.text, fmt.Sprint("}", who))
			a.disk.Lapse(dir + name)
			break
		}
		step.Op = "the lease of " + name + " ends"
		a.text = append(a.text, fmt.Sprint("]", who))
		a.disk.EndLease(dir + name)
	case actArrive:
		if !fits {
			return fmt.Errorf("%w: no request is under way", ErrReplay)
		}
		f := a.s.flight[who]
		i := len(a.late) - 1
		for i > 0 && a.late[i] != f {
			i--
		}
		step.Op = "a request arrives: " + opNames[f.kind] + " " + levelName(int(f.level))
		a.text = append(a.text, fmt.Sprint("{", who))
		a.disk.Arrive(i)
		a.late = slices.Delete(a.late, i, i+1)
	case actDieLate:
		t := a.m.threadOf(who)
		step.Lane, step.Dies = t, true
		if !fits {
			return fmt.Errorf("%w: %s has no request to make", ErrReplay, a.m.threadName(t))
		}
		a.begin(t)
		_ = a.send(t) // there is no answer
		step.Op = "asks for: " + a.describe(a.th[t], false) + ", and dies"
		a.text = append(a.text, "#"+a.m.threadName(t))
		a.ps[who].Kill()
	}
	return nil
}

// send lets a thread ask the store for something, and get no answer.
func (a *actors) send(t int) error {
	th := a.th[t]
	c, d := th.call, a.dir(a.m.procOf[t])
	s := *a.s
	a.m.sends(&s, t)
	for i, x := range s.flight {
		if x != a.s.flight[i] {
			a.late = append(a.late, x)
		}
	}
	if c.data != nil {
		th.records++
		a.name[string(c.data)] = fmt.Sprintf("%s%d", a.m.threadName(t), th.records)
	}
	a.noAnswer = true
	defer func() { a.noAnswer = false }()
	var err error
	switch c.kind {
	case opCreate:
		_, err = d.Create(c.name, c.data)
	case opSwap:
		_, err = fsys.Swap(d, c.name, c.old, c.data)
	case opRemoveIf:
		_, err = fsys.Remove(c.file.real, c.name)
	}
	return err
}
