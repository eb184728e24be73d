package explore

// set is a set of fingerprints, none of which is zero.
type set struct {
	slot []uint64
	n    int
}

func newSet() *set { return &set{slot: make([]uint64, 1<<16)} }

// add tells whether x is new.
func (s *set) add(x uint64) bool {
	mask := uint64(len(s.slot) - 1)
	i := x & mask
	for ; s.slot[i] != 0; i = (i + 1) & mask {
		if s.slot[i] == x {
			return false
		}
	}
	s.slot[i] = x
	if s.n++; s.n > len(s.slot)/4*3 {
		old := s.slot
		s.slot = make([]uint64, 2*len(old))
		s.n = 0
		for _, y := range old {
			if y != 0 {
				s.put(y)
			}
		}
	}
	return true
}

func (s *set) put(x uint64) {
	mask := uint64(len(s.slot) - 1)
	i := x & mask
	for s.slot[i] != 0 {
		i = (i + 1) & mask
	}
	s.slot[i] = x
	s.n++
}
