package main

import (
	"errors"
	"time"
)

// A and B: what one process pays.

func uncontended() {
	table("A. TryLock and Unlock of a free lock",
		"One process, nobody else. The bare system calls publish a whole file and remove it: no lock of this kind can be faster. The promises take four more: a lock on the file, its number and mode, and a look at name and content before it is removed.",
		"file system", "", "median", "least", "most", "× "+baseline, "× bare")
	everywhere(func(p *place) {
		turns(p, append([]Contender{floor, checked}, contenders...), "cycle")
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
		turns(p, contenders, "held")
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

// try is a TryLock, and an Unlock if that was what had to come of it.
func try(want bool) func(Lock) error {
	return func(l Lock) error {
		ok, err := l.TryLock()
		if err == nil && ok != want {
			err = errors.New("not the answer that it must be")
		}
		if ok && err == nil {
			err = l.Unlock()
		}
		return err
	}
}

// singles are what one process does over and over.
var singles = map[string]func(Lock) error{
	"cycle": func(l Lock) error {
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
	},
	"true":  try(true),
	"false": try(false),
	"held": func(l Lock) error {
		ok, err := l.TryLock()
		if err == nil && ok {
			err = errors.New("a held lock was acquired")
		}
		return err
	},
}

// turns measures an operation with each contender, in turns, each in a process
// of its own.
func turns(p *place, cs []Contender, op string) {
	per := make(map[string][]float64)
	ws := make([]*worker, len(cs))
	for i, c := range cs {
		ws[i] = p.worker("turn", c.Name, op, int64(*batch))
	}
	for range *rounds {
		for i, c := range cs {
			ws[i].say()
			ws[i].answer()
			if n := p.gained.Load(); n > 0 {
				per[c.Name] = append(per[c.Name], float64(p.freed.Load())/float64(n))
			}
		}
	}
	base, low := quantile(per[baseline], .5), quantile(per[floor.Name], .5)
	if base == 0 {
		base = quantile(per[cs[0].Name], .5)
	}
	for i, c := range cs {
		check(ws[i].in.Close())
		ws[i].wait()
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

func init() {
	workers["turn"] = func(p *place, args []string) {
		l, op, batch := p.open(args[0]), singles[args[1]], number(args[2])
		for listen() {
			n, start := int64(0), now()
			for now()-start < batch && n >= 0 {
				for range 20 {
					err := op(l)
					if errors.Is(err, errors.ErrUnsupported) {
						n = -1
						break
					}
					check(err)
					n++
				}
			}
			p.freed.Store(now() - start)
			p.gained.Store(n)
			say()
		}
	}
}
