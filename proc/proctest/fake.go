package proctest

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"

	"github.com/dirlock/dirlock/proc"
)

// Fake is an invented machine, or rather one PID namespace of it, in which a test
// starts and kills processes, and reuses their PIDs. Each process is a
// [proc.Table] of its own: what the code under test sees if that process runs it.
//
//	procs := proctest.NewFake()
//	p := procs.Start("backup")
//	held := lock.New(dir, lock.WithProcesses(p))
//	…
//	p.Kill()                               // its lock is stale now
//	q := procs.StartPID(p.PID(), "other")  // and its PID is in use again
//
// Killing a process stops no goroutine: it only changes what the others see.
//
// Everything is deterministic: two fakes on which the same calls are made have
// equal identities. All methods are safe for concurrent use. There are no
// background goroutines, so a fake works inside a testing/synctest bubble; a
// process that goroutines of a bubble wait for must be ended in that bubble.
type Fake struct {
	machines  *fakeMachines
	machine   *fakeMachine
	namespace string
	lastPID   int
	procs     map[int]*FakeProcess // alive and zombies
}

// fakeMachines is what all machines of a test share.
type fakeMachines struct {
	mu    sync.Mutex
	boots int
}

type fakeMachine struct {
	host    string
	boot    string
	clock   int     // start of the last process
	stopped bool    // the clock does not go on
	older   bool    // processes have no Unique
	count   uint64  // processes of this boot
	spaces  []*Fake // the machine's own one first
}

// Where a machine begins to count at each boot.
const fakeFirstTick = 1000

// fakeRootNamespace is the number of the first PID namespace, the same on every
// Linux machine. The fake has it too, so that code that confuses the namespaces
// of two machines fails on it as well.
const fakeRootNamespace = 4026531836

// NewFake returns the first PID namespace of a machine that runs no process. Two
// calls return machines that look the same to each other, even their boot. For
// another machine, use [Fake.Machine].
func NewFake() *Fake {
	w := &fakeMachines{}
	return w.newMachine("host1")
}

func (w *fakeMachines) newMachine(host string) *Fake {
	m := &fakeMachine{host: host}
	w.boot(m)
	return w.newSpace(m)
}

// boot starts a machine that runs no process.
func (w *fakeMachines) boot(m *fakeMachine) {
	w.boots++
	m.boot = fmt.Sprintf("00000000-0000-4000-8000-%012d", w.boots)
	m.clock, m.count = fakeFirstTick, 0
}

func (w *fakeMachines) newSpace(m *fakeMachine) *Fake {
	f := &Fake{machines: w, machine: m, procs: map[int]*FakeProcess{}}
	f.namespace = strconv.FormatUint(fakeRootNamespace+uint64(len(m.spaces)), 10)
	m.spaces = append(m.spaces, f)
	return f
}

// Machine returns the first PID namespace of another machine with that host name.
// It has a boot of its own, and PIDs from 1.
func (f *Fake) Machine(host string) *Fake {
	f.machines.mu.Lock()
	defer f.machines.mu.Unlock()
	return f.machines.newMachine(host)
}

// Container returns another PID namespace of the same machine and boot, with PIDs
// from 1. Only its own processes see the processes in it.
func (f *Fake) Container() *Fake {
	f.machines.mu.Lock()
	defer f.machines.mu.Unlock()
	return f.machines.newSpace(f.machine)
}

// KillAll ends all processes of this namespace, as the end of a container does,
// and leaves no zombies.
func (f *Fake) KillAll() {
	f.machines.mu.Lock()
	defer f.machines.mu.Unlock()
	f.killAll()
}

func (f *Fake) killAll() {
	for _, pid := range slices.Sorted(maps.Keys(f.procs)) {
		f.procs[pid].end()
		delete(f.procs, pid)
	}
}

// Reboot ends all processes of the machine, including those in containers. Later
// processes have another boot, and PIDs from 1 again.
func (f *Fake) Reboot() {
	f.machines.mu.Lock()
	defer f.machines.mu.Unlock()
	for _, space := range f.machine.spaces {
		space.killAll()
		space.lastPID = 0
	}
	f.machines.boot(f.machine)
}

// StopClock stops the clock of the machine: all processes that it starts from now
// on have the same Start, as if they were started within one tick. Only Unique
// tells one from another with the same PID.
func (f *Fake) StopClock() {
	f.machines.mu.Lock()
	defer f.machines.mu.Unlock()
	f.machine.clock++
	f.machine.stopped = true
}

// WithoutUnique makes the machine one that has no [proc.Identity].Unique, as Linux
// before 6.9: processes started from now on have none, and nobody can ask for it.
// It returns f.
func (f *Fake) WithoutUnique() *Fake {
	f.machines.mu.Lock()
	defer f.machines.mu.Unlock()
	f.machine.older = true
	return f
}

// Start starts a process. Its PID is the lowest free one above that of the process
// started before.
func (f *Fake) Start(command string) *FakeProcess {
	f.machines.mu.Lock()
	defer f.machines.mu.Unlock()
	pid := f.lastPID + 1
	for f.procs[pid] != nil {
		pid++
	}
	return f.start(pid, command)
}

// StartPID starts a process with this PID. It panics if the PID is not positive,
// or belongs to a process that is alive or has not been reaped.
func (f *Fake) StartPID(pid int, command string) *FakeProcess {
	f.machines.mu.Lock()
	defer f.machines.mu.Unlock()
	if pid <= 0 || f.procs[pid] != nil {
		panic(fmt.Sprintf("proctest: StartPID: PID %d is impossible or not free", pid))
	}
	return f.start(pid, command)
}

func (f *Fake) start(pid int, command string) *FakeProcess {
	f.lastPID = pid
	m := f.machine
	if !m.stopped {
		m.clock++
	}
	m.count++
	p := &FakeProcess{fake: f, id: proc.Identity{
		PID:       pid,
		Start:     strconv.Itoa(m.clock),
		Boot:      m.boot,
		Namespace: f.namespace,
		Host:      m.host,
		Command:   command,
	}}
	if !m.older {
		p.id.Unique = strconv.FormatUint(m.count, 10)
	}
	f.procs[pid] = p
	return p
}
