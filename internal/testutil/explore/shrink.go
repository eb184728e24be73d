package explore

import "slices"

// shrinkStates bounds how far Shrink looks for another order of the steps.
const shrinkStates = 300_000

// Shrink returns a shorter schedule that breaks the same property, if it finds
// one. Every operation counts as a step. First it leaves out steps that are not
// needed; then it looks for the shortest schedule among those in which no
// thread takes more steps, nobody else dies, and nothing else goes wrong,
// unless there are too many of them. What [Shortest] found is nearly as short
// as can be before.
func (v *Violation) Shrink() *Violation {
	w := &Violation{Property: v.Property, Detail: v.Detail, config: v.config, start: v.start, acts: v.literal(), exact: true}
	for again := true; again; {
		again = false
		for i := len(w.acts) - 1; i >= 0; i-- {
			fewer := slices.Delete(slices.Clone(w.acts), i, i+1)
			if bad, n := w.run(fewer); bad != nil && bad.property == v.Property {
				w.acts, w.Detail, again = fewer[:n], bad.detail, true
				i = min(i, n)
			}
		}
	}
	return w.reorder()
}

// run plays a schedule in the model, up to the first violation.
func (v *Violation) run(acts []action) (*violation, int) {
	m := newModel(v.config)
	m.literal = true
	s := m.start(v.start)
	if bad := m.inspect(s); bad != nil {
		return bad, 0
	}
	for i, x := range acts {
		if !slices.Contains(m.actions(s, nil), x) {
			return nil, 0
		}
		bad := m.apply(s, x)
		if bad == nil {
			bad = m.inspect(s)
		}
		if bad != nil {
			return bad, i + 1
		}
	}
	return nil, 0
}

// reorder returns the shortest of the schedules that have no more of anything
// than v has.
func (v *Violation) reorder() *Violation {
	whole := v.acts
	m := newModel(v.config)
	m.literal = true
	var caps [maxThreads]uint8
	var dies uint32
	others := map[action]bool{}
	for _, x := range whole {
		switch x.kind() {
		case actStep:
			caps[x.who()]++
		case actDie:
			dies |= 1 << x.who()
		default:
			others[x] = true
			if x.kind() != actMeddle {
				caps[x.who()]++
			}
		}
	}

	type point struct {
		s     state
		taken [maxThreads]uint8
		id    int32
	}
	type from struct {
		parent int32
		act    action
	}
	tree := []from{{-1, 0}}
	now := []point{{s: *m.start(v.start)}}
	seen := newSet()
	var later []point
	for len(now) > 0 && len(tree) < shrinkStates {
		for i := range now {
			for _, x := range m.actions(&now[i].s, nil) {
				p := now[i]
				switch x.kind() {
				case actStep:
					if p.taken[x.who()]++; p.taken[x.who()] > caps[x.who()] {
						continue
					}
				case actDie:
					if dies>>x.who()&1 == 0 {
						continue
					}
				default:
					if !others[x] {
						continue
					}
					if x.kind() != actMeddle {
						p.taken[x.who()]++
					}
				}
				bad := m.apply(&p.s, x)
				if bad == nil {
					h := m.key(&p.s)
					for t, n := range p.taken {
						h = mix(h, uint64(n)+uint64(t)<<8+uint64(p.s.t[t].node)<<16)
					}
					h = mix(h, uint64(p.s.dead)) | 1
					if !seen.add(h) {
						continue
					}
					bad = m.inspect(&p.s)
				}
				if bad != nil {
					if bad.property != v.Property {
						continue
					}
					acts := []action{x}
					for id := now[i].id; id > 0; id = tree[id].parent {
						acts = append(acts, tree[id].act)
					}
					slices.Reverse(acts)
					return &Violation{Property: bad.property, Detail: bad.detail, config: v.config, start: v.start, acts: acts, exact: true}
				}
				p.id = int32(len(tree))
				tree = append(tree, from{now[i].id, x})
				later = append(later, p)
			}
		}
		now, later = later, now[:0]
	}
	return v
}

// Len returns the number of steps of the schedule.
func (v *Violation) Len() int { return len(v.literal()) }
