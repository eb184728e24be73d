package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// L and M: many wait at the same time.

func crowdSizes() (sizes []int) {
	for _, s := range strings.Split(*crowds, ",") {
		n, err := strconv.Atoi(s)
		check(err)
		sizes = append(sizes, n)
	}
	return sizes
}

// crowdTurns is how often each contender has its turn with each crowd.
const crowdTurns = 3

func crowd() {
	table("L. A crowd that waits",
		fmt.Sprintf("So many processes lock, hold the lock for %v, unlock and lock again, for %v. The hand-off is from the start of an Unlock to the return of the next Lock. Medians of %d turns.", *holds, *loop, crowdTurns),
		"file system", "", "processes", "acquisitions/s", "× "+baseline, "hand-off", "99 %", "× "+baseline, "CPU each", "least share")
	everywhere(func(p *place) {
		for _, n := range crowdSizes() {
			runs := make(map[string][]crowdRun)
			for range crowdTurns {
				for _, c := range contenders {
					if !c.Shared && !c.Polled {
						runs[c.Name] = append(runs[c.Name], p.crowd(c, n))
					}
				}
			}
			base := middle(runs[baseline])
			for _, c := range contenders {
				if r := middle(runs[c.Name]); len(runs[c.Name]) > 0 {
					row(p.fs, c.Name, n, fmt.Sprintf("%.0f", r.rate), ratio(r.rate, base.rate),
						r.median, r.late, ratio(float64(r.median), float64(base.median)),
						r.cpu, fmt.Sprintf("%.0f %%", r.least*100))
				}
			}
		}
	})
}

// crowdRun is what came of one turn.
type crowdRun struct {
	rate, least       float64
	median, late, cpu time.Duration
}

// middle takes the median of each figure.
func middle(runs []crowdRun) crowdRun {
	of := func(get func(crowdRun) float64) float64 {
		var values []float64
		for _, r := range runs {
			values = append(values, get(r))
		}
		return quantile(values, .5)
	}
	return crowdRun{
		rate:   of(func(r crowdRun) float64 { return r.rate }),
		least:  of(func(r crowdRun) float64 { return r.least }),
		median: time.Duration(of(func(r crowdRun) float64 { return float64(r.median) })),
		late:   time.Duration(of(func(r crowdRun) float64 { return float64(r.late) })),
		cpu:    time.Duration(of(func(r crowdRun) float64 { return float64(r.cpu) })),
	}
}

func (p *place) crowd(c Contender, n int) crowdRun {
	p.start.Store(0)
	p.gained.Store(0)
	p.freed.Store(0)
	ws := make([]*worker, n)
	for i := range ws {
		ws[i] = p.worker("crowd", c.Name, i, int64(*holds))
	}
	for _, w := range ws {
		w.answer()
	}
	for _, w := range ws {
		w.say()
	}
	time.Sleep(time.Second + time.Duration(n)*time.Millisecond) // they begin to wait
	began, cpu, gained := now(), cpuTime(ws), p.gained.Load()
	for i := range n {
		p.counts[i].Store(0)
	}
	time.Sleep(*loop)
	took, cpu, gained := now()-began, cpuTime(ws)-cpu, p.gained.Load()-gained
	r := crowdRun{rate: float64(gained) / (float64(took) / 1e9), cpu: cpu / time.Duration(max(gained, 1))}
	least := int64(1) << 62
	for i := range n {
		least = min(least, p.counts[i].Load())
	}
	r.least = float64(least) * float64(n) / float64(max(gained, 1))
	stop(ws)
	var times []time.Duration
	for i := range min(gained, int64(len(p.values))) {
		times = append(times, time.Duration(p.values[i].Load()))
	}
	r.median, r.late = quantile(times, .5), quantile(times, .99)
	check(p.clear(c.Name))
	return r
}

func stop(ws []*worker) {
	for _, w := range ws {
		check(w.cmd.Process.Kill())
	}
	for _, w := range ws {
		_ = w.cmd.Wait()
	}
}

func init() {
	workers["crowd"] = func(p *place, args []string) {
		l, rank, hold := p.open(args[0]), number(args[1]), time.Duration(number(args[2]))
		say()
		listen()
		for {
			mustLock(l)
			freed := p.freed.Load()
			p.values[p.gained.Load()%int64(len(p.values))].Store(now() - freed)
			p.gained.Add(1)
			p.counts[rank].Add(1)
			if hold > 0 {
				time.Sleep(hold)
			}
			p.freed.Store(now())
			check(l.Unlock())
		}
	}
}

// crowdKills is how many owners of a crowd are killed.
const crowdKills = 30

func crowdRecovery() {
	table("M. Recovery while a crowd waits",
		fmt.Sprintf("So many processes wait. The owner is killed, and reaped, %d times; from the kill to the return of Lock in the next one.", crowdKills),
		"file system", "", "processes", "median", "least", "longest", "× "+baseline, "CPU each")
	everywhere(func(p *place) {
		for _, n := range crowdSizes() {
			times := make(map[string][]time.Duration)
			cpu := make(map[string]time.Duration)
			for _, c := range contenders {
				if !c.Shared && !c.Polled {
					times[c.Name], cpu[c.Name] = p.killCrowd(c, n)
				}
			}
			base := quantile(times[baseline], .5)
			for _, c := range contenders {
				if t := times[c.Name]; len(t) > 0 {
					m := quantile(t, .5)
					row(p.fs, c.Name, n, m, quantile(t, 0), quantile(t, 1), ratio(float64(m), float64(base)), cpu[c.Name])
				}
			}
		}
	})
}

func (p *place) killCrowd(c Contender, n int) (times []time.Duration, cpu time.Duration) {
	p.owner.Store(-1)
	var ws []*worker
	for i := range n + crowdKills {
		ws = append(ws, p.worker("heir", c.Name, i))
	}
	for _, w := range ws {
		w.answer()
	}
	for _, w := range ws {
		w.say()
	}
	heir := func() int64 {
		for p.owner.Load() < 0 {
			time.Sleep(time.Millisecond)
		}
		return p.owner.Swap(-1)
	}
	owner := heir()
	time.Sleep(time.Second + time.Duration(n)*time.Millisecond)
	gone := make(map[int64]bool)
	for range crowdKills {
		living := slices.Collect(func(yield func(*worker) bool) {
			for i, w := range ws {
				if !gone[int64(i)] && int64(i) != owner && !yield(w) {
					return
				}
			}
		})
		before := cpuTime(living)
		killed := now()
		check(ws[owner].cmd.Process.Kill())
		_ = ws[owner].cmd.Wait()
		gone[owner] = true
		owner = heir()
		times = append(times, time.Duration(p.freed.Load()-killed))
		time.Sleep(asleep + time.Duration(n)*time.Millisecond/4)
		cpu += cpuTime(living) - before
	}
	for i, w := range ws {
		if !gone[int64(i)] {
			check(w.cmd.Process.Kill())
			_ = w.cmd.Wait()
		}
	}
	check(p.clear(c.Name))
	return times, cpu / crowdKills
}

func init() {
	workers["heir"] = func(p *place, args []string) {
		l, rank := p.open(args[0]), number(args[1])
		say()
		listen()
		mustLock(l)
		p.freed.Store(now())
		p.owner.Store(rank)
		listen()
	}
}
