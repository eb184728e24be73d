package main

import (
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// C, D and I: one holds, another one waits.

// asleep is after how long a waiter surely waits.
const asleep = 5 * time.Millisecond

func handoff() {
	table("C. Hand-off to a waiter",
		"From the start of Unlock in one process to the return of Lock in another that was waiting. Who cannot wait is asked again every "+poll.String()+".",
		"file system", "", "median", "99 %", "longest", "× "+baseline)
	everywhere(func(p *place) {
		times := make(map[string][]time.Duration)
		const parts = 4
		for range parts {
			for _, c := range waiting() {
				if c.Shared {
					continue
				}
				n := *hands / parts
				p.start.Store(-1)
				a := p.worker("handoff", c.Name, 0, n)
				b := p.worker("handoff", c.Name, 1, n)
				a.wait()
				b.wait()
				for i := range n {
					times[c.Name] = append(times[c.Name], time.Duration(p.values[i].Load()))
				}
			}
		}
		pairTable(p, waiting(), times, "")
	})
}

func pairTable(p *place, cs []Contender, times map[string][]time.Duration, state string) {
	base := quantile(times[baseline], .5)
	for _, c := range cs {
		t, name := times[c.Name], c.Name+state
		if c.Polled {
			name += " (polled)"
		}
		if len(t) == 0 {
			row(p.fs, name, "has two owners", "", "", "")
			continue
		}
		m := quantile(t, .5)
		row(p.fs, name, m, quantile(t, .99), quantile(t, 1), ratio(float64(m), float64(base)))
	}
}

func init() {
	// Two of these take turns: one waits, the other one releases.
	workers["handoff"] = func(p *place, args []string) {
		l, rank, n := p.open(args[0]), number(args[1]), number(args[2])
		until := func(ok func() bool) {
			for !ok() {
				time.Sleep(time.Millisecond)
			}
		}
		if rank == 0 {
			mustLock(l)
			p.start.Store(0)
		} else {
			until(func() bool { return p.start.Load() == 0 })
		}
		for i := range n {
			if i%2 != rank {
				p.start.Store(i + 1)
				mustLock(l)
				p.values[i].Store(now() - p.freed.Load())
				continue
			}
			until(func() bool { return p.start.Load() == i+1 })
			time.Sleep(asleep)
			p.values[i].Store(0)
			p.freed.Store(now())
			check(l.Unlock())
			until(func() bool { return p.values[i].Load() != 0 }) // or we would take it back
		}
		if n%2 == rank {
			check(l.Unlock())
		}
	}
}

func recovery() {
	table("D. Recovery after SIGKILL of the owner",
		"From the kill to the return of Lock in another process that was waiting. A zombie is a dead owner that nobody reaps.",
		"file system", "", "median", "99 %", "longest", "× "+baseline)
	everywhere(func(p *place) {
		for _, reap := range []bool{true, false} {
			times := make(map[string][]time.Duration)
			cs := make([]Contender, 0, len(contenders))
			for _, c := range waiting() {
				if c.Polled && !reap {
					continue // It never ends: to them the zombie lives.
				}
				cs = append(cs, c)
				p.start.Store(0)
				waiter := p.worker("wait", c.Name)
				for i := range *kills {
					holder := p.worker("hold", c.Name)
					holder.answer()
					waiter.say()
					for p.start.Load() != int64(i+1) {
						time.Sleep(time.Millisecond)
					}
					time.Sleep(asleep)
					killed := now()
					check(holder.cmd.Process.Kill())
					if reap {
						_ = holder.cmd.Wait()
					}
					waiter.answer()
					times[c.Name] = append(times[c.Name], time.Duration(p.freed.Load()-killed))
					if !reap {
						_ = holder.cmd.Wait()
					}
				}
				check(waiter.in.Close())
				waiter.wait()
			}
			state := ""
			if !reap {
				state = ", a zombie"
			}
			pairTable(p, cs, times, state)
		}
	})
}

func init() {
	workers["wait"] = func(p *place, args []string) {
		for l := p.open(args[0]); listen(); {
			p.start.Add(1)
			mustLock(l)
			p.freed.Store(now())
			check(l.Unlock())
			say()
		}
	}
}

const idleTime = 10 * time.Second

func idle() {
	table("I. What waiting costs",
		fmt.Sprintf("CPU time of processes that wait while nothing happens, all together: in the first second, in which they begin to wait, and in the next %v.", idleTime),
		"file system", "", "processes", "first second", "after that", "of one core")
	everywhere(func(p *place) {
		for _, c := range waiting() {
			if !strings.HasPrefix(c.Name, "dirlock") && c.Name != baseline {
				continue
			}
			for _, n := range []int{1, *idlers} {
				holder := p.worker("hold", c.Name)
				holder.answer()
				ws := make([]*worker, n)
				for i := range ws {
					ws[i] = p.worker("idle", c.Name)
				}
				for _, w := range ws {
					w.answer()
				}
				before := cpuTime(ws)
				for _, w := range ws {
					w.say()
				}
				time.Sleep(time.Second)
				began := cpuTime(ws)
				time.Sleep(idleTime)
				begin, cpu := began-before, cpuTime(ws)-began
				for _, w := range ws {
					check(w.cmd.Process.Kill())
					_ = w.cmd.Wait()
				}
				check(holder.in.Close())
				holder.wait()
				row(p.fs, c.Name, n, begin, cpu, fmt.Sprintf("%.2f %%", 100*float64(cpu)/float64(idleTime)))
			}
		}
	})
}

func init() {
	workers["idle"] = func(p *place, args []string) {
		l := p.open(args[0])
		say()
		listen()
		mustLock(l)
		check(fmt.Errorf("the idle waiter got the lock"))
	}
}

// cpuTime is what the workers have used so far. They are asked from outside, by
// the clock of a process (clock_getcpuclockid(3)): to ask itself, a process would
// have to wake.
func cpuTime(ws []*worker) (sum time.Duration) {
	for _, w := range ws {
		var t unix.Timespec
		check(unix.ClockGettime(int32(^w.cmd.Process.Pid<<3|2), &t))
		sum += time.Duration(t.Nano())
	}
	return sum
}
