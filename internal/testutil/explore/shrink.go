package explore

import "slices"

// shrinkStates bounds how far Shrink looks.
const shrinkStates = 4_000_000

// Shrink returns the shortest schedule that breaks the same property, among
// those in which no thread takes more steps, nobody else dies, and nothing else
// goes wrong than in this one. Every operation counts as a step. If there are
// too many, it returns this one.
func (v *Violation) Shrink() *Violation {
	whole := v.literal()
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
	return &Violation{Property: v.Property, Detail: v.Detail, config: v.config, start: v.start, acts: whole, exact: true}
}

// Len returns the number of steps of the schedule.
func (v *Violation) Len() int { return len(v.literal()) }
