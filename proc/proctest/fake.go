package proctest

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"sync"

	"github.com/dirlock/dirlock/proc"
)

// Fake is a process table for tests: one PID namespace of an invented machine,
// in which processes are started, killed and re-used. Each process is a [proc.Table]
// of its own, the view that the code under test has when that process runs it:
//
//	procs := proctest.NewFake()
//	p := procs.Start("backup")
//	held := lock.New(dir, lock.WithProcesses(p))
//	…
//	p.Kill()                               // its lock is stale now
//	q := procs.StartPID(p.PID(), "other")  // and its PID is used again
//
// Killing a process stops no goroutine: it only changes what the others see.
//
// Everything is deterministic: two fakes on which the same calls are made have
// equal identities. All methods are safe for concurrent use. There is no
// background goroutine, so that a fake works inside a testing/synctest bubble;
// one whose processes wait there must be changed there, too.
type Fake struct {
	world     *fakeWorld
	machine   *fakeMachine
	namespace string
	lastPID   int
	procs     map[int]*FakeProcess // alive and zombies
}

// fakeWorld is what all machines of a test share.
type fakeWorld struct {
	mu    sync.Mutex
	boots int
}

type fakeMachine struct {
	host   string
	boot   string
	clock  int     // start of the next process
	spaces []*Fake // the machine's own one first
}

// fakeRootNamespace is the number of the first PID namespace, which is the same
// on every Linux machine. The fake has it, too, because code that takes
// namespaces of two machines for one must fail on the fake as well.
const fakeRootNamespace = 4026531836

// NewFake returns the first PID namespace of a machine that runs no process.
// Two calls return machines that look the same to each other, one boot
// included; use [Fake.Machine] for another machine.
func NewFake() *Fake {
	w := &fakeWorld{}
	return w.newMachine("host1")
}

func (w *fakeWorld) newMachine(host string) *Fake {
	m := &fakeMachine{host: host, boot: w.newBoot(), clock: 1000}
	return w.newSpace(m)
}

func (w *fakeWorld) newBoot() string {
	w.boots++
	return fmt.Sprintf("00000000-0000-4000-8000-%012d", w.boots)
}

func (w *fakeWorld) newSpace(m *fakeMachine) *Fake {
	f := &Fake{world: w, machine: m, procs: map[int]*FakeProcess{}}
	f.namespace = strconv.FormatUint(fakeRootNamespace+uint64(len(m.spaces)), 10)
	m.spaces = append(m.spaces, f)
	return f
}

// Machine returns the first PID namespace of another machine of that name: its
// own boot, its own PIDs from 1.
func (f *Fake) Machine(host string) *Fake {
	f.world.mu.Lock()
	defer f.world.mu.Unlock()
	return f.world.newMachine(host)
}

// Container returns another PID namespace of the same machine and boot, with
// its own PIDs from 1. Its processes are seen in it alone.
func (f *Fake) Container() *Fake {
	f.world.mu.Lock()
	defer f.world.mu.Unlock()
	return f.world.newSpace(f.machine)
}

// KillAll ends all processes of this namespace, as the end of a container does.
// None is left as a zombie.
func (f *Fake) KillAll() {
	f.world.mu.Lock()
	defer f.world.mu.Unlock()
	f.killAll()
}

func (f *Fake) killAll() {
	for _, pid := range slices.Sorted(maps.Keys(f.procs)) {
		f.procs[pid].end()
		delete(f.procs, pid)
	}
}

// Reboot ends all processes of the machine, those of its containers included.
// Later processes have another boot, and PIDs from 1 again.
func (f *Fake) Reboot() {
	f.world.mu.Lock()
	defer f.world.mu.Unlock()
	for _, space := range f.machine.spaces {
		space.killAll()
		space.lastPID = 0
	}
	f.machine.boot = f.world.newBoot()
	f.machine.clock = 1000
}

// Start starts a process, with the lowest PID that is greater than that of the
// process started before it, and is free.
func (f *Fake) Start(command string) *FakeProcess {
	f.world.mu.Lock()
	defer f.world.mu.Unlock()
	pid := f.lastPID + 1
	for f.procs[pid] != nil {
		pid++
	}
	return f.start(pid, command)
}

// StartPID starts a process that has this PID. It panics if the PID is not
// positive, or belongs to a process that lives or has not been reaped.
func (f *Fake) StartPID(pid int, command string) *FakeProcess {
	f.world.mu.Lock()
	defer f.world.mu.Unlock()
	if pid <= 0 || f.procs[pid] != nil {
		panic(fmt.Sprintf("proctest: StartPID: PID %d is impossible or not free", pid))
	}
	return f.start(pid, command)
}

func (f *Fake) start(pid int, command string) *FakeProcess {
	f.lastPID = pid
	f.machine.clock++
	p := &FakeProcess{fake: f, id: proc.Identity{
		PID:       pid,
		Start:     strconv.Itoa(f.machine.clock),
		Boot:      f.machine.boot,
		Namespace: f.namespace,
		Host:      f.machine.host,
		Command:   command,
	}}
	f.procs[pid] = p
	return p
}

// FakeProcess is a process of a [Fake], and the process table that it sees.
type FakeProcess struct {
	fake    *Fake
	id      proc.Identity
	ended   bool
	hidden  bool
	waiters []chan struct{}
}

var _ proc.Notifier = (*FakeProcess)(nil)

// PID returns its process ID.
func (p *FakeProcess) PID() int { return p.id.PID }

// Kill ends the process, and its parent reaps it: its PID is free. It does
// nothing if the process has ended.
func (p *FakeProcess) Kill() {
	p.fake.world.mu.Lock()
	defer p.fake.world.mu.Unlock()
	if !p.ended {
		p.end()
		delete(p.fake.procs, p.id.PID)
	}
}

// Zombie ends the process, but nobody reaps it: its PID is not free until
// [FakeProcess.Reap]. It does nothing if the process has ended.
func (p *FakeProcess) Zombie() {
	p.fake.world.mu.Lock()
	defer p.fake.world.mu.Unlock()
	p.end()
}

// Reap frees the PID of a zombie. It does nothing if the process has been
// reaped, and panics if it still lives.
func (p *FakeProcess) Reap() {
	p.fake.world.mu.Lock()
	defer p.fake.world.mu.Unlock()
	if !p.ended {
		panic(fmt.Sprintf("proc: Reap: process %d is alive", p.id.PID))
	}
	if p.fake.procs[p.id.PID] == p {
		delete(p.fake.procs, p.id.PID)
	}
}

// Hide makes the process's start time unreadable to all others, as procfs does
// with hidepid: they see that the PID is in use, and no more.
func (p *FakeProcess) Hide() {
	p.fake.world.mu.Lock()
	defer p.fake.world.mu.Unlock()
	p.hidden = true
}

func (p *FakeProcess) end() {
	p.ended = true
	for _, c := range p.waiters {
		c <- struct{}{} // each has room for one, and gets one
	}
	p.waiters = nil
}

// Self identifies the process, whether it lives or not. It never fails.
func (p *FakeProcess) Self() (proc.Identity, error) { return p.id, nil }

// Probe reports the state of the process that has id.PID in the namespace of p.
func (p *FakeProcess) Probe(id proc.Identity) (proc.State, string) {
	p.fake.world.mu.Lock()
	defer p.fake.world.mu.Unlock()
	return p.probe(id)
}

func (p *FakeProcess) probe(id proc.Identity) (proc.State, string) {
	if id.PID <= 0 || int64(id.PID) > math.MaxInt32 {
		return proc.Dead, reasonImpossible
	}
	q := p.fake.procs[id.PID]
	switch {
	case q == nil:
		return proc.Dead, reasonNone
	case q.ended:
		return proc.Dead, reasonZombie
	case q.hidden && q != p:
		return proc.Unknown, reasonHidden
	case id.Start == "":
		return proc.Unknown, reasonNoStart
	case id.Start != q.id.Start:
		return proc.Dead, reasonReused
	}
	return proc.Alive, reasonRuns
}

// Notify returns a channel that receives when the process with id.PID ends, be
// it as a zombie. It never fails, and receives for no other reason.
func (p *FakeProcess) Notify(id proc.Identity) (ended <-chan struct{}, stop func(), err error) {
	p.fake.world.mu.Lock()
	defer p.fake.world.mu.Unlock()
	if state, _ := p.probe(id); state == proc.Dead {
		ended := make(chan struct{}, 1)
		ended <- struct{}{}
		return ended, func() {}, nil
	}
	q := p.fake.procs[id.PID]
	c := make(chan struct{}, 1)
	q.waiters = append(q.waiters, c)
	return c, func() {
		p.fake.world.mu.Lock()
		defer p.fake.world.mu.Unlock()
		q.waiters = slices.DeleteFunc(q.waiters, func(w chan struct{}) bool { return w == c })
	}, nil
}

// The reasons of a verdict, in the words that people see.
const (
	reasonImpossible = "no process can have this PID"
	reasonNone       = "no process has this PID"
	reasonReused     = "its PID belongs to another process now"
	reasonZombie     = "it has ended, and its parent has not reaped it"
	reasonRuns       = "it is running"
	reasonNoStart    = "a process has this PID, but the start time of the one asked for is not known"
	reasonHidden     = "a process has this PID, but its start time cannot be read"
)
