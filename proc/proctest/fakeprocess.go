package proctest

import (
	"fmt"
	"math"
	"slices"

	"github.com/dirlock/dirlock/proc"
	"github.com/dirlock/dirlock/proc/internal/reason"
)

// FakeProcess is a process of a [Fake], and the process table that it sees.
type FakeProcess struct {
	fake    *Fake
	id      proc.Identity
	ended   bool
	hidden  bool
	waiters []chan struct{}
}

var _ proc.Notifier = (*FakeProcess)(nil)

// PID returns the process ID.
func (p *FakeProcess) PID() int { return p.id.PID }

// Kill ends the process, and its parent reaps it: its PID is free. It does nothing
// if the process has ended already.
func (p *FakeProcess) Kill() {
	p.fake.machines.mu.Lock()
	defer p.fake.machines.mu.Unlock()
	if !p.ended {
		p.end()
		delete(p.fake.procs, p.id.PID)
	}
}

// Zombie ends the process, but nobody reaps it: its PID is in use until
// [FakeProcess.Reap]. It does nothing if the process has ended already.
func (p *FakeProcess) Zombie() {
	p.fake.machines.mu.Lock()
	defer p.fake.machines.mu.Unlock()
	p.end()
}

// Reap frees the PID of a zombie. It does nothing if the process has been reaped
// already, and panics if it is alive.
func (p *FakeProcess) Reap() {
	p.fake.machines.mu.Lock()
	defer p.fake.machines.mu.Unlock()
	if !p.ended {
		panic(fmt.Sprintf("proctest: Reap: process %d is alive", p.id.PID))
	}
	if p.fake.procs[p.id.PID] == p {
		delete(p.fake.procs, p.id.PID)
	}
}

// Hide makes the process's Start and Unique unreadable to all others, as procfs
// does with hidepid where there are no pidfds. They see only that the PID is in
// use.
func (p *FakeProcess) Hide() {
	p.fake.machines.mu.Lock()
	defer p.fake.machines.mu.Unlock()
	p.hidden = true
}

func (p *FakeProcess) end() {
	p.ended = true
	for _, c := range p.waiters {
		c <- struct{}{} // each has room for one, and gets one
	}
	p.waiters = nil
}

// Self identifies the process, whether it is alive or not. It never fails.
func (p *FakeProcess) Self() (proc.Identity, error) { return p.id, nil }

// Probe reports the state of the process that has id.PID in the namespace of p.
func (p *FakeProcess) Probe(id proc.Identity) (proc.State, string) {
	p.fake.machines.mu.Lock()
	defer p.fake.machines.mu.Unlock()
	return p.probe(id)
}

func (p *FakeProcess) probe(id proc.Identity) (proc.State, string) {
	if id.PID <= 0 || int64(id.PID) > math.MaxInt32 {
		return proc.Dead, reason.Impossible
	}
	q := p.fake.procs[id.PID]
	switch {
	case q == nil:
		return proc.Dead, reason.None
	case q.ended:
		return proc.Dead, reason.Zombie
	case q.hidden && q != p:
		return proc.Unknown, reason.Hidden
	case id.Unique != "" && q.id.Unique != "":
		if id.Unique != q.id.Unique {
			return proc.Dead, reason.Reused
		}
	case id.Start == "":
		return proc.Unknown, reason.NoStart
	case id.Start != q.id.Start:
		return proc.Dead, reason.Reused
	}
	return proc.Alive, reason.Runs
}

// Notify returns a channel that receives when the process with id.PID ends, even
// if it becomes a zombie. It never fails, and there are no spurious wake-ups.
func (p *FakeProcess) Notify(id proc.Identity) (ended <-chan struct{}, stop func(), err error) {
	p.fake.machines.mu.Lock()
	defer p.fake.machines.mu.Unlock()
	c := make(chan struct{}, 1)
	if state, _ := p.probe(id); state == proc.Dead {
		c <- struct{}{}
		return c, func() {}, nil
	}
	q := p.fake.procs[id.PID]
	q.waiters = append(q.waiters, c)
	return c, func() {
		p.fake.machines.mu.Lock()
		defer p.fake.machines.mu.Unlock()
		q.waiters = slices.DeleteFunc(q.waiters, func(w chan struct{}) bool { return w == c })
	}, nil
}
