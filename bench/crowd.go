package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"time"
)

// E and F: many processes.

func contended() {
	table("E. Contention",
		fmt.Sprintf("Processes that lock and unlock in a tight loop for %v. The share is that of the process that got the least, of a fair share. The longest wait is that of any process.", *loop),
		"file system", "", "processes", "acquisitions/s", "× "+baseline, "longest wait", "least share")
	everywhere(func(p *place) {
		for _, n := range []int{2, 8, 32} {
			var base float64
			for _, c := range contenders {
				if c.Shared {
					row(p.fs, c.Name, n, "has two owners", "", "", "")
					continue
				}
				total, longest, least := p.contend(c, n)
				if c.Name == baseline {
					base = total
				}
				row(p.fs, c.Name, n, fmt.Sprintf("%.0f", total/loop.Seconds()), ratio(total, base),
					longest, fmt.Sprintf("%.0f %%", least*100))
			}
		}
	})
}

func (p *place) contend(c Contender, n int) (total float64, longest time.Duration, least float64) {
	p.start.Store(0)
	var ws []*worker
	for i := range n {
		ws = append(ws, p.worker("contend", c.Name, i, int64(*loop)))
	}
	for _, w := range ws {
		w.answer()
	}
	p.start.Store(now() + int64(50*time.Millisecond))
	for _, w := range ws {
		w.say()
	}
	fewest := int64(1) << 62
	for i, w := range ws {
		w.wait()
		got := p.values[2*i].Load()
		total += float64(got)
		fewest = min(fewest, got)
		longest = max(longest, time.Duration(p.values[2*i+1].Load()))
	}
	return total, longest, float64(fewest) * float64(n) / max(total, 1)
}

func init() {
	workers["contend"] = func(p *place, args []string) {
		l, rank, length := p.open(args[0]), number(args[1]), number(args[2])
		say()
		listen()
		time.Sleep(time.Duration(p.start.Load() - now()))
		end := p.start.Load() + length
		var got, longest int64
		for before := now(); before < end; before = now() {
			mustLock(l)
			longest = max(longest, min(now(), end)-before)
			if now() < end {
				got++
			}
			check(l.Unlock())
		}
		p.values[2*rank].Store(got)
		p.values[2*rank+1].Store(longest)
	}
}

// lockedOut is after how long without any acquisition a lock counts as one that
// locked everybody out.
const lockedOut = 5 * time.Second

func torture() {
	table("F. Torture",
		fmt.Sprintf("%d processes for %v; every %v a random one is killed with SIGKILL and replaced. The oracle is a word of memory that they share: whoever has the lock must find it empty, or with the number of one that was killed. Violations are a lower bound. A lock-out is more than %v without any acquisition. Litter is what is left when, in the end, one more process has locked and unlocked.", *procs, *short, *every, lockedOut),
		"file system", "", "acquisitions", "kills", "violations", "errors", "lock-outs", "longest gap", "litter")
	everywhere(func(p *place) {
		for _, c := range contenders {
			p.torture(c)
		}
	})
}

func (p *place) torture(c Contender) {
	p.owner.Store(0)
	p.gained.Store(0)
	p.broken.Store(0)
	p.failed.Store(0)
	for i := range p.dying {
		p.dying[i].Store(false)
	}
	type victim struct {
		*worker
		id int64
	}
	var last int64
	begin := func() victim {
		last++
		return victim{p.worker("torture", c.Name, last), last}
	}
	victims := make([]victim, *procs)
	for i := range victims {
		victims[i] = begin()
	}

	killed, lockouts := 0, 0
	var gap time.Duration
	tick := time.NewTicker(*every)
	defer tick.Stop()
	seen, since := int64(0), now()
	for end := now() + int64(*short); now() < end; {
		<-tick.C
		v := &victims[rand.IntN(len(victims))]
		p.dying[v.id].Store(true) // before, so that nobody takes its death for a violation
		check(v.cmd.Process.Kill())
		_ = v.cmd.Wait()
		killed++
		*v = begin()

		if g := p.gained.Load(); g != seen {
			seen, since = g, now()
		} else if d := time.Duration(now() - since); d > gap {
			if gap <= lockedOut && d > lockedOut {
				lockouts++
			}
			gap = d
		}
	}
	for _, v := range victims {
		p.dying[v.id].Store(true)
		check(v.cmd.Process.Kill())
		_ = v.cmd.Wait()
	}

	litter := "?"
	w := p.worker("once", c.Name)
	done := make(chan error, 1)
	go func() { done <- w.cmd.Wait() }()
	select {
	case err := <-done:
		check(err)
		litter = p.litter(c)
	case <-time.After(2 * lockedOut):
		check(w.cmd.Process.Kill())
		<-done //nolint:errcheck // it was killed
		litter = "locked out for good"
	}
	row(p.fs, c.Name, p.gained.Load(), killed, p.broken.Load(), p.failed.Load(), lockouts, gap, litter)
	check(os.RemoveAll(p.home(c.Name)))
}

// litter counts what a lock left, and names one of it.
func (p *place) litter(c Contender) string {
	files, err := os.ReadDir(p.home(c.Name))
	check(err)
	if len(files) == 0 {
		return "0"
	}
	var names []string
	for _, f := range files[:min(len(files), 1)] {
		names = append(names, f.Name())
	}
	return fmt.Sprintf("%d (%s)", len(files), strings.Join(names, ", "))
}

func init() {
	workers["torture"] = func(p *place, args []string) {
		l, me := p.open(args[0]), number(args[1])
		for {
			if err := l.Lock(); err != nil {
				p.failed.Add(1)
				time.Sleep(poll)
				continue
			}
			p.enter(me)
			p.gained.Add(1)
			for until := now() + rand.Int64N(int64(100*time.Microsecond)); now() < until; {
				// It works.
			}
			p.owner.CompareAndSwap(me, 0)
			if err := l.Unlock(); err != nil {
				p.failed.Add(1)
			}
		}
	}
	workers["once"] = func(p *place, args []string) {
		l := p.open(args[0])
		mustLock(l)
		check(l.Unlock())
	}
}

// enter tells the oracle that we have the lock.
func (p *place) enter(me int64) {
	for !p.owner.CompareAndSwap(0, me) {
		other := p.owner.Load()
		switch {
		case other == 0:
		case p.dying[other].Load():
			if p.owner.CompareAndSwap(other, me) {
				return
			}
		default:
			p.broken.Add(1)
			return
		}
	}
}
