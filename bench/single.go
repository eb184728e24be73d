package main

import (
	"errors"
	"fmt"
	"time"
)

// A and B: what one process pays.

func uncontended() {
	table("A. TryLock and Unlock of a free lock",
		"One process, nobody else. The bare system calls publish a whole file and remove it: no lock of this kind can be faster. The promises take four more: a lock on the file, its number and mode, and a look at name and content before it is removed.",
		"file system", "", "median", "least", "most", "× "+baseline, "× bare")
	everywhere(func(p *place) {
		turns(p, append([]Contender{floor, checked}, contenders...), func(l Lock) error {
			ok, err := l.TryLock()
			if errors.Is(err, errors.ErrUnsupported) {
				err = l.Lock()
			} else if err == nil && !ok {
				err = errors.New("a free lock is not free")
			}
			if err != nil {
				return err
			}
			return l.Unlock()
		})
	})
}

func held() {
	table("B. TryLock of a lock that another process holds",
		"The answer is false.",
		"file system", "", "median", "least", "most", "× "+baseline, "")
	everywhere(func(p *place) {
		for _, c := range contenders {
			w := p.worker("hold", c.Name)
			w.answer()
			defer func() { check(w.in.Close()); w.wait() }()
			// Each in a directory of its own: they must not meet.
		}
		turns(p, contenders, func(l Lock) error {
			ok, err := l.TryLock()
			if err == nil && ok {
				err = errors.New("a held lock was acquired")
			}
			return err
		})
	})
}

func init() {
	workers["hold"] = func(p *place, args []string) {
		l := p.open(args[0])
		mustLock(l)
		say()
		listen()
	}
}

// turns measures op with each contender, in turns.
func turns(p *place, cs []Contender, op func(Lock) error) {
	per := make(map[string][]float64)
	for range *rounds {
		for _, c := range cs {
			l := p.open(c.Name)
			n, start := 0, now()
			for now()-start < int64(*batch) {
				for range 20 {
					if err := op(l); errors.Is(err, errors.ErrUnsupported) {
						n = -1
						break
					} else if err != nil {
						check(fmt.Errorf("%s: %w", c.Name, err))
					}
					n++
				}
				if n < 0 {
					break
				}
			}
			if n > 0 {
				per[c.Name] = append(per[c.Name], float64(now()-start)/float64(n))
			}
		}
	}
	base, low := quantile(per[baseline], .5), quantile(per[floor.Name], .5)
	if base == 0 {
		base = quantile(per[cs[0].Name], .5)
	}
	for _, c := range cs {
		v := per[c.Name]
		if len(v) == 0 {
			row(p.fs, c.Name, "none", "", "", "", "")
			continue
		}
		m := quantile(v, .5)
		row(p.fs, c.Name, time.Duration(m), time.Duration(quantile(v, 0)), time.Duration(quantile(v, 1)),
			ratio(m, base), ratio(m, low))
	}
}
