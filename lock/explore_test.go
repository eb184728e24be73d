package lock_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"html/template"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dirlock/dirlock/fsys"
	"github.com/dirlock/dirlock/internal/testutil/explore"
	"github.com/dirlock/dirlock/lock"
	"github.com/dirlock/dirlock/proc"
)

// The real code of this package, in every interleaving of a few invented
// processes, with deaths and failures anywhere. docs/explorer.md tells how to
// read what these tests say.

var (
	deep   = flag.Bool("explore.deep", false, "go through the large searches, too: it takes minutes")
	replay = flag.String("explore.replay", "", "run the schedule of this replay `string` and draw it")
	drawTo = flag.String("explore.html", "", "write the page of a violation or a replay to this `file`")
)

// attempts is the bound on the attempts of one TryLock. Two are enough: the
// second one starts from any state that the others have made of the directory
// during the first, and what it remembers of the first is its number.
const attempts = 2

func handle(p *explore.Proc) *lock.DirLock { return handleThat(p, false) }

// handleThat returns a handle that creates L0 before it looks, or not. Outside of
// the explorer that depends on what came before, which a handle forgets here
// between two calls.
func handleThat(p *explore.Proc, eager bool) *lock.DirLock {
	l := lock.New("dir", lock.WithFS(p.FS()), lock.WithProcesses(p.Table()), lock.WithClock(p.Now), lock.WithRand(p.Rand()))
	lock.SetExplored(l, attempts, p.Pause, eager, p.Holds)
	return l
}

// tried tells the explorer what a call that may acquire the lock has returned.
func tried(p *explore.Proc, ok bool, err error) bool {
	switch {
	case err != nil:
		p.Failed(err, errors.Is(err, explore.ErrInjected))
	case ok:
		p.Acquired()
	default:
		p.Refused()
	}
	return ok && err == nil
}

func tryLock(p *explore.Proc, l *lock.DirLock, left int) bool {
	p.Call(explore.TryLock, left)
	ok, err := l.TryLock()
	return tried(p, ok, err)
}

// unlock is Unlock by the holder, again if it failed.
func unlock(p *explore.Proc, l *lock.DirLock, left int) {
	release(p, l, explore.Unlock, l.Unlock, left)
}

// release is an Unlock or RUnlock by somebody who holds the lock.
func release(p *explore.Proc, l *lock.DirLock, name string, unlock func() error, left int) {
	if lock.Tidies(l) {
		left |= 1 << 8 // which it remembers
	}
	for range 3 {
		p.Call(name, left)
		switch err := unlock(); {
		case err == nil:
			p.Released()
			return
		case errors.Is(err, lock.ErrLost):
			p.Lost()
			return
		default:
			p.Failed(err, errors.Is(err, explore.ErrInjected))
		}
	}
	p.Wrong("%s fails for ever", name)
}

// unlockFree is Unlock by somebody who does not hold the lock.
func unlockFree(p *explore.Proc, l *lock.DirLock, left int) {
	p.Call(explore.Unlock, left)
	if err := l.Unlock(); !errors.Is(err, lock.ErrNotHeld) {
		p.Wrong("Unlock without the lock returned: %v", err)
	}
	p.Nothing()
}

// rounds is a program that calls TryLock so many times, and Unlock whenever it
// got the lock.
func rounds(n int) *explore.Program {
	return &explore.Program{Name: "rounds", Run: func(p *explore.Proc) {
		l := handle(p)
		for left := n - 1; left >= 0; left-- {
			if tryLock(p, l, left) {
				unlock(p, l, left)
			}
		}
	}}
}

// named is a round of a lock that has a name. The explorer sees its files without
// the prefix, and whatever it does to a file of another name is wrong: so no lock of
// this directory notices another one (see TestNamesShareNoFile).
var namedTwice = &explore.Program{Name: "named", Run: func(p *explore.Proc) {
	l := lock.New("dir", lock.WithName("gc"), lock.WithFS(ownFS{p.FS(), p}), lock.WithProcesses(p.Table()), lock.WithClock(p.Now), lock.WithRand(p.Rand()))
	lock.SetExplored(l, attempts, p.Pause, false, p.Holds)
	for left := 1; left >= 0; left-- {
		if tryLock(p, l, left) {
			unlock(p, l, left)
		}
	}
}}

type ownFS struct {
	fsys.FS
	p *explore.Proc
}

func (f ownFS) Dir(name string) (fsys.Dir, error) {
	d, err := f.FS.Dir(name)
	return ownDir{d, f.p}, err
}

type ownDir struct {
	fsys.Dir
	p *explore.Proc
}

// own takes the prefix from a name.
func (d ownDir) own(name string) string {
	level, ok := strings.CutPrefix(name, "gc.")
	if !ok {
		d.p.Wrong("the lock gc touches %s", name)
	}
	return level
}

func (d ownDir) Unwrap() fsys.Dir { return d.Dir }

func (d ownDir) Create(name string, data []byte) (fsys.File, error) {
	f, err := d.Dir.Create(d.own(name), data)
	return ownFile{f, d}, err
}

func (d ownDir) Read(name string) (fsys.Snapshot, error) { return d.Dir.Read(d.own(name)) }
func (d ownDir) Remove(name string) error                { return d.Dir.Remove(d.own(name)) }

func (d ownDir) Replace(oldname, newname string) error {
	return d.Dir.Replace(d.own(oldname), d.own(newname))
}

func (d ownDir) List(prefix string) ([]string, error) {
	names, err := d.Dir.List(d.own(prefix))
	for i := range names {
		names[i] = "gc." + names[i]
	}
	return names, err
}

type ownFile struct {
	fsys.File
	d ownDir
}

func (f ownFile) Intact(name string) (bool, error) { return f.File.Intact(f.d.own(name)) }

var (
	once  = rounds(1)
	twice = rounds(2)

	// before is a round of a version that knew no notes of deaths.
	before = &explore.Program{Name: "earlier version", Run: func(p *explore.Proc) {
		l := handle(p)
		lock.SetWithoutNotes(l)
		if tryLock(p, l, 0) {
			unlock(p, l, 0)
		}
	}}

	// eager is a round that creates L0 first, and one that looks.
	eager = &explore.Program{Name: "eager", Run: func(p *explore.Proc) {
		for left := 1; left >= 0; left-- {
			l := handleThat(p, left == 1)
			if tryLock(p, l, left) {
				unlock(p, l, left)
			}
		}
	}}

	// twiceUnlock calls Unlock once more than it should, at any time.
	twiceUnlock = &explore.Program{Name: "unlock twice", Run: func(p *explore.Proc) {
		l := handle(p)
		for left := 1; left >= 0; left-- {
			if tryLock(p, l, left) {
				unlock(p, l, left)
			}
			unlockFree(p, l, left)
		}
	}}

	// inspecting only looks.
	inspecting = &explore.Program{Name: "status", Run: func(p *explore.Proc) {
		l := handle(p)
		for left := 1; left >= 0; left-- {
			p.Call(explore.Status, left)
			if _, err := l.Status(); err != nil {
				p.Failed(err, errors.Is(err, explore.ErrInjected))
				continue
			}
			p.Nothing()
		}
	}}

	// breaker breaks the lock of whoever is not known to be alive.
	breaker = &explore.Program{Name: "break", Run: func(p *explore.Proc) {
		l := handle(p)
		p.Call(explore.Break, 0)
		s, err := l.Status()
		if err != nil {
			p.Failed(err, errors.Is(err, explore.ErrInjected))
			return
		}
		for _, lv := range s.Levels {
			if lv.State != proc.Unknown || lv.Err != nil {
				continue
			}
			switch err := l.Break(context.Background(), lv.Owner.ID); {
			case err == nil:
				p.Released()
			case errors.Is(err, lock.ErrOtherOwner), errors.Is(err, lock.ErrAlive):
				p.Refused()
			default:
				p.Failed(err, errors.Is(err, explore.ErrInjected))
			}
			return
		}
		p.Nothing()
	}}

	// agreeing looks, tries to lock, and compares the answers. What it saw is in
	// the number of rounds that are left.
	agreeing = &explore.Program{Name: "status and lock", Run: func(p *explore.Proc) {
		l := handle(p)
		p.Call(explore.Status, 0)
		s, err := l.Status()
		state, level := s.State()
		seen := int(state)<<8 | level.N
		if err != nil {
			seen = -1
		}
		p.Call(explore.TryLock, seen)
		ok, err := l.TryLock()
		p.Compared()
		switch free := state == lock.Free || state == lock.Stale; {
		case err != nil && (seen < 0 || state == lock.Unreadable):
		case err != nil || seen < 0:
			p.Wrong("Status says %v, and TryLock fails: %v", state, err)
		case ok != free || state == lock.Unreadable:
			p.Wrong("Status says %v, and TryLock returns %v", state, ok)
		}
	}}

	waiter = waits()
	poller = waits(lock.WithoutEvents())
)

// waits is a program that waits for the lock, for so many pauses at most.
func waits(opts ...lock.Option) *explore.Program {
	return &explore.Program{Name: "wait", Run: func(p *explore.Proc) {
		l := lock.New("dir", append(opts, lock.WithFS(p.FS()), lock.WithProcesses(p.Table()), lock.WithClock(p.Now), lock.WithRand(p.Rand()))...)
		pauses := 0
		lock.SetExplored(l, attempts, func(ctx context.Context, d time.Duration, changed, ended <-chan struct{}) error {
			if pauses++; pauses > 3 {
				return context.Canceled
			}
			return p.Pause(ctx, d, changed, ended)
		}, false, p.Holds)
		p.Call(explore.Lock, 0)
		err := l.LockContext(context.Background())
		if tried(p, err == nil, err) {
			unlock(p, l, 0)
		}
	}}
}

// alike returns n processes that run the same program.
func alike(n int, prog *explore.Program) (ps []explore.Process) {
	for range n {
		ps = append(ps, explore.Process{Threads: []*explore.Program{prog}})
	}
	return ps
}

func process(progs ...*explore.Program) explore.Process { return explore.Process{Threads: progs} }

func on(machine, namespace int, prog *explore.Program) explore.Process {
	return explore.Process{Threads: []*explore.Program{prog}, Machine: machine, Namespace: namespace}
}

// stacks returns every directory with these kinds of files up to a level.
func stacks(kinds string, top int) (out []string) {
	if top < 0 {
		return []string{""}
	}
	for _, rest := range stacks(kinds, top-1) {
		for _, k := range kinds {
			out = append(out, rest+string(k))
		}
	}
	return out
}

type search struct {
	explore.Config
	deep  bool
	eager bool // some create L0 before they look
	notes bool // of deaths are made
	// breaks is the property that must break: what the search lets happen is
	// more than can be borne.
	breaks string
}

var (
	empty   = []string{"-"}
	witness = explore.Rules{Witness: true}
	every   = stacks("-STF", 3)
)

// searches are what TestExplore goes through.
func searches() []search {
	rules := func(r explore.Rules, f func(*explore.Rules)) explore.Rules { f(&r); return r }
	held := explore.Rules{Held: true}
	faults := explore.Rules{Faults: true}
	meddler := explore.Rules{Meddle: explore.MeddleRemove}
	network := explore.Rules{Network: true}
	noReplace := explore.Rules{NoReplace: true}
	holds := explore.Rules{Holds: true}
	meddle := explore.Rules{Witness: true, Meddle: explore.MeddleAll}
	events := explore.Rules{Events: true, Waits: true}
	leases := explore.Rules{Leases: true, Network: true}
	earlier := func(machine int) explore.Process {
		p := on(machine, 0, before)
		p.Deaf = true
		return p
	}
	networkNoReplace := rules(network, func(r *explore.Rules) { r.NoReplace = true })
	twoHosts := []explore.Process{on(0, 0, once), on(0, 0, once), on(1, 0, once), on(1, 0, once)}
	mixed := []explore.Process{earlier(0), on(0, 0, once), earlier(1), on(1, 0, once)}
	all := []search{
		// The bounds that every run of the tests reaches.
		{Config: explore.Config{Name: "3x2", Procs: alike(3, twice), Deaths: 2, Start: stacks("-STF", 1)}},
		{Config: explore.Config{Name: "2x2-every", Procs: alike(2, twice), Deaths: 2, Start: every}},
		{Config: explore.Config{Name: "4x1", Procs: alike(4, once), Deaths: 2, Start: stacks("-S", 1)}},
		{Config: explore.Config{Name: "5x1", Procs: alike(5, once), Deaths: 3, Start: empty}},
		{Config: explore.Config{Name: "3x2-held", Rules: held, Procs: alike(3, twice), Deaths: 2, Start: stacks("-S", 2)}},

		// A lock with a name, beside others.
		{Config: explore.Config{Name: "named", Procs: alike(2, namedTwice), Deaths: 2, Start: stacks("-ST", 1)}},
		{Config: explore.Config{Name: "named-no-replace", Rules: noReplace, Procs: alike(3, namedTwice), Deaths: 1, Start: []string{"-", "S"}}},

		// Some create L0 before they look.
		{Config: explore.Config{Name: "3x2-eager", Procs: alike(3, eager), Deaths: 2, Start: stacks("-STF", 1)}},
		{eager: true, Config: explore.Config{Name: "2x2-eager-faults", Rules: faults, Procs: []explore.Process{process(eager), process(twice)}, Deaths: 1, Start: stacks("-ST", 1)}},

		// Nothing replaces a file in one step.
		{Config: explore.Config{Name: "3x2-no-replace", Rules: noReplace, Procs: alike(3, twice), Deaths: 2, Start: []string{"-", "S", "T", "SS", "SF"}}},
		{Config: explore.Config{Name: "4x1-no-replace", Rules: noReplace, Procs: alike(4, once), Deaths: 2, Start: empty}},
		{Config: explore.Config{Name: "4x1-no-replace-3-deaths", Rules: noReplace, Procs: alike(4, once), Deaths: 3, Start: empty}},
		{Config: explore.Config{Name: "2x2-no-replace-faults", Rules: rules(faults, func(r *explore.Rules) { r.NoReplace = true }), Procs: alike(2, twice), Deaths: 1, Start: stacks("-ST", 1)}},
		{Config: explore.Config{Name: "two-hosts-no-replace", Rules: rules(network, func(r *explore.Rules) { r.NoReplace = true }), Procs: []explore.Process{on(0, 0, twice), on(0, 0, once), on(1, 0, once)}, Deaths: 2, Start: []string{"-", "S", "SS", "B"}}},

		// The kernel vouches for owners.
		{Config: explore.Config{Name: "3x2-witness", Rules: witness, Procs: alike(3, twice), Deaths: 2, Start: []string{"-", "T", "S"}}},
		{Config: explore.Config{Name: "containers", Rules: witness, Procs: []explore.Process{on(0, 0, twice), on(0, 1, once), on(0, 1, once)}, Deaths: 2, Start: stacks("-S", 1)}},
		{Config: explore.Config{Name: "containers-no-witness", Procs: []explore.Process{on(0, 0, twice), on(0, 1, once), on(0, 1, once)}, Deaths: 2, Start: empty}},
		{Config: explore.Config{Name: "two-hosts", Rules: network, Procs: []explore.Process{on(0, 0, twice), on(0, 0, once), on(1, 0, twice)}, Deaths: 2, Start: []string{"-", "S", "B", "T", "-B"}}},
		{Config: explore.Config{Name: "two-hosts-witness", Rules: rules(network, func(r *explore.Rules) { r.Witness = true }), Procs: []explore.Process{on(0, 0, once), on(0, 0, once), on(1, 0, once), on(1, 0, once)}, Deaths: 2, Start: []string{"-", "S", "B", "-B"}}},
		{Config: explore.Config{Name: "reboot", Rules: witness, Procs: alike(3, twice), Deaths: 1, Start: []string{"-", "B", "BS"}}},

		// Each of two machines can judge only its own dead, and removes those.
		{Config: explore.Config{Name: "lock-out", Each: true, Rules: network, Procs: twoHosts, Deaths: 3, Start: []string{"-", "S", "SO"}}},
		{Config: explore.Config{Name: "lock-out-no-replace", Each: true, Rules: networkNoReplace, Procs: twoHosts, Deaths: 3, Start: []string{"-", "S"}}},
		{Config: explore.Config{Name: "lock-out-stack", Each: true, Rules: network, Procs: []explore.Process{on(0, 0, once), on(1, 0, once)}, Deaths: 2, Start: stacks("-SO", 3)}},
		{notes: true, Config: explore.Config{Name: "lock-out-faults", Each: true, Rules: rules(network, func(r *explore.Rules) { r.Faults = true }), Procs: []explore.Process{on(0, 0, once), on(1, 0, once)}, Deaths: 2, Start: []string{"S", "SO", "SSO"}}},
		{Config: explore.Config{Name: "three-hosts", Each: true, Rules: networkNoReplace, Procs: []explore.Process{on(0, 0, once), on(1, 0, once), on(2, 0, once)}, Deaths: 3, Start: stacks("-SO", 1)}},

		// Versions that knew no notes of deaths, beside this one.
		{Config: explore.Config{Name: "mixed", Each: true, Rules: network, Procs: mixed, Deaths: 3, Start: []string{"-", "S", "SO"}}},
		{Config: explore.Config{Name: "mixed-no-replace", Each: true, Rules: networkNoReplace, Procs: mixed, Deaths: 2, Start: []string{"-", "S", "SO"}}},
		{Config: explore.Config{Name: "mixed-one-host", Each: true, Rules: network, Procs: []explore.Process{earlier(0), on(0, 0, once), on(1, 0, once)}, Deaths: 3, Start: stacks("-SO", 1)}},

		// A dead process's PID is used again.
		{Config: explore.Config{Name: "pid-again", Procs: []explore.Process{process(twice), {Threads: []*explore.Program{twice}, After: 1}, process(once), process(once)}, Deaths: 2, Start: stacks("-S", 0)}},

		// One operation of every kind fails.
		{Config: explore.Config{Name: "2x2-faults", Rules: faults, Procs: alike(2, twice), Deaths: 1, Start: stacks("-ST", 1)}},
		{Config: explore.Config{Name: "3x1-faults", Rules: faults, Procs: alike(3, once), Deaths: 2, Start: stacks("-S", 1)}},
		{Config: explore.Config{Name: "2x2-faults-witness", Rules: rules(faults, func(r *explore.Rules) { r.Witness = true }), Procs: alike(2, twice), Deaths: 1, Start: stacks("-S", 1)}},

		// Others than lockers act.
		{Config: explore.Config{Name: "meddle", Rules: meddle, Procs: []explore.Process{process(twice), process(once)}, Deaths: 1, Start: stacks("-SC", 1)}},
		{Config: explore.Config{Name: "meddle-no-replace", Rules: rules(meddle, func(r *explore.Rules) { r.NoReplace = true }), Procs: []explore.Process{process(twice), process(once)}, Deaths: 1, Start: stacks("-S", 1)}},
		{Config: explore.Config{Name: "meddle-no-witness", Rules: rules(meddle, func(r *explore.Rules) { r.Witness, r.Holds = false, true }), Procs: []explore.Process{process(twice), process(once)}, Deaths: 1, Start: stacks("-S", 1)}},
		{Config: explore.Config{Name: "copies", Rules: witness, Procs: alike(2, twice), Deaths: 1, Start: stacks("-SCDT", 2)}},
		{Config: explore.Config{Name: "false-create", Rules: explore.Rules{FalseCreate: true}, Procs: alike(2, once), Start: empty, Only: explore.Exclusion}, breaks: explore.Exclusion},
		{Config: explore.Config{Name: "late-create", Rules: rules(faults, func(r *explore.Rules) { r.Witness, r.LateCreate = true, true }), Procs: []explore.Process{process(twice), process(once)}, Deaths: 1, Start: stacks("-S", 1)}},

		// Processes that let go and live, and facts that change or are not the
		// same for all.
		{Config: explore.Config{Name: "reexec", Rules: witness, Procs: []explore.Process{process(twice), process(once), process(once)}, Deaths: 1, Reexecs: 1, Start: empty}},
		{Config: explore.Config{Name: "reexec-no-witness", Rules: holds, Procs: []explore.Process{process(twice), process(once)}, Deaths: 1, Reexecs: 1, Start: stacks("-S", 1)}},
		{Config: explore.Config{Name: "two-handles-no-witness", Rules: rules(holds, func(r *explore.Rules) { r.Meddle = explore.MeddleCopy }), Procs: []explore.Process{process(once, once), process(once)}, Deaths: 1, Start: empty}},
		{Config: explore.Config{Name: "exports", Rules: explore.Rules{Exports: true}, Procs: []explore.Process{on(0, 0, twice), on(0, 0, once), on(1, 0, twice)}, Deaths: 1, Start: stacks("-S", 1)}},
		{Config: explore.Config{Name: "exports-witness", Rules: explore.Rules{Exports: true, Witness: true}, Procs: []explore.Process{on(0, 0, twice), on(0, 1, once), on(1, 0, once)}, Deaths: 1, Start: stacks("-S", 1)}},
		{Config: explore.Config{Name: "weak", Rules: explore.Rules{Witness: true, Weak: true}, Procs: []explore.Process{on(0, 0, twice), on(0, 1, once), on(0, 1, once)}, Deaths: 1, Start: stacks("-SC", 1)}},
		{Config: explore.Config{Name: "views", Rules: explore.Rules{Witness: true, Views: true}, Procs: []explore.Process{process(twice), {Threads: []*explore.Program{twice}, Mount: 1}, {Threads: []*explore.Program{once}, Namespace: 1, Mount: 1}}, Deaths: 2, Start: stacks("-S", 0)}},
		{Config: explore.Config{Name: "own-boot", Rules: witness, Procs: []explore.Process{process(once), {Threads: []*explore.Program{twice}, Boot: 1}, {Threads: []*explore.Program{once}, Boot: 1}}, Deaths: 1, Start: []string{"-", "S", "B", "SB"}}},
		{Config: explore.Config{Name: "own-boot-no-witness", Procs: []explore.Process{process(twice), {Threads: []*explore.Program{twice}, Boot: 1}, {Threads: []*explore.Program{once}, Boot: 1}}, Deaths: 2, Start: stacks("-S", 1)}},

		// Other programs.
		{Config: explore.Config{Name: "unlock-twice", Procs: alike(3, twiceUnlock), Deaths: 2, Start: stacks("-S", 0)}},
		{Config: explore.Config{Name: "two-handles", Procs: []explore.Process{process(twice, twice), process(twice)}, Deaths: 1, Start: stacks("-S", 1)}},
		{Config: explore.Config{Name: "two-handles-witness", Rules: witness, Procs: []explore.Process{process(twice, once), process(once)}, Deaths: 1, Start: stacks("-S", 1)}},
		{Config: explore.Config{Name: "status", Procs: []explore.Process{process(twice), process(twice), process(inspecting)}, Deaths: 2, Start: []string{"-", "S", "T", "F", "SS", "SF"}}},
		{Config: explore.Config{Name: "meddler", Rules: meddler, Procs: alike(3, twice), Deaths: 1, Start: stacks("-S", 0)}},
		{Config: explore.Config{Name: "break", Rules: rules(network, func(r *explore.Rules) { r.Breaks = true }), Procs: []explore.Process{process(breaker), process(breaker), process(once)}, Deaths: 1, Start: []string{"B", "-B", "BB"}}},

		// Waiting.
		{Config: explore.Config{Name: "wait", Rules: events, Procs: []explore.Process{process(once), process(waiter)}, Deaths: 1, Start: stacks("-S", 1)}},
		{Config: explore.Config{Name: "wait-wait", Rules: events, Procs: []explore.Process{process(waiter), process(waiter)}, Deaths: 1, Start: stacks("-S", 0)}},
		{Config: explore.Config{Name: "wait-faults", Rules: rules(events, func(r *explore.Rules) { r.Faults, r.Prepares = true, true }), Procs: []explore.Process{process(once), process(waiter)}, Deaths: 1, Start: empty}},
		{Config: explore.Config{Name: "poll", Rules: events, Procs: []explore.Process{process(once), process(poller)}, Deaths: 1, Start: stacks("-S", 0)}},

		// A store in which files hang on leases, which can end at any time, and where
		// requests without an answer are done later.
		{Config: explore.Config{Name: "3x2-leases", Rules: leases, Procs: alike(3, twice), Deaths: 2, Lapses: 2, Start: []string{"-", "S", "C"}}},
		{Config: explore.Config{Name: "3x2-leases-late", Rules: leases, Procs: alike(3, twice), Deaths: 2, Lapses: 2, Late: 2, Start: []string{"-", "S", "C"}}},
		{Config: explore.Config{Name: "3x2-leases-held", Rules: rules(leases, func(r *explore.Rules) { r.Held = true }), Procs: alike(3, twice), Deaths: 1, Lapses: 1, Late: 1, Start: []string{"-", "S"}}},
		{Config: explore.Config{Name: "4x1-leases-late", Rules: leases, Procs: alike(4, once), Deaths: 3, Lapses: 2, Late: 2, Start: []string{"-", "S"}}},
		{Config: explore.Config{Name: "leases-meddle", Rules: rules(leases, func(r *explore.Rules) { r.Meddle = explore.MeddleRemove | explore.MeddleCopy }), Procs: alike(2, twice), Deaths: 1, Lapses: 1, Late: 1, Start: []string{"-", "S"}}},
		{Config: explore.Config{Name: "2x2-leases-late", Rules: leases, Procs: alike(2, twice), Deaths: 1, Lapses: 2, Late: 2, Start: []string{"-", "S"}}},
		{eager: true, Config: explore.Config{Name: "leases-eager", Rules: leases, Procs: []explore.Process{process(eager), process(eager), process(twice)}, Deaths: 1, Lapses: 1, Late: 1, Start: []string{"-", "S"}}},
		{Config: explore.Config{Name: "leases-wait", Rules: rules(leases, func(r *explore.Rules) { r.Events, r.Waits = true, true }), Procs: []explore.Process{process(once), process(waiter)}, Deaths: 1, Lapses: 1, Late: 1, Start: []string{"-", "S"}}},
		{Config: explore.Config{Name: "late-clock", Rules: rules(leases, func(r *explore.Rules) { r.LateClock = true }), Procs: alike(2, once), Lapses: 1, Start: empty, Only: explore.Exclusion}, breaks: explore.Exclusion},

		// Large ones.
		{deep: true, Config: explore.Config{Name: "4x2-leases-late", Rules: leases, Procs: alike(4, twice), Deaths: 3, Lapses: 2, Late: 2, Start: []string{"-", "S", "C"}}},
		{deep: true, Config: explore.Config{Name: "3x2-every", Procs: alike(3, twice), Deaths: 2, Start: every}},
		{deep: true, Config: explore.Config{Name: "5x1-no-replace", Rules: noReplace, Procs: alike(5, once), Deaths: 3, Start: empty}},
		{deep: true, Config: explore.Config{Name: "3x2-no-replace-stack", Rules: noReplace, Procs: alike(3, twice), Deaths: 2, Start: stacks("-STF", 1)}},
		{deep: true, Config: explore.Config{Name: "3x2-witness-stack", Rules: witness, Procs: alike(3, twice), Deaths: 2, Start: stacks("-STB", 1)}},
		{deep: true, Config: explore.Config{Name: "2x2-faults-stack", Rules: faults, Procs: alike(2, twice), Deaths: 1, Start: stacks("-ST", 2)}},
		{deep: true, Config: explore.Config{Name: "4x1-no-replace-stack", Rules: noReplace, Procs: alike(4, once), Deaths: 2, Start: stacks("-S", 1)}},
		{deep: true, Config: explore.Config{Name: "3x1-meddle", Rules: meddle, Procs: alike(3, once), Deaths: 1, Start: stacks("-SC", 1)}},
		{deep: true, Config: explore.Config{Name: "3x1-meddle-no-replace", Rules: rules(meddle, func(r *explore.Rules) { r.NoReplace = true }), Procs: alike(3, once), Deaths: 1, Start: stacks("-SC", 1)}},
		{deep: true, Config: explore.Config{Name: "meddle-twice", Rules: meddle, Procs: alike(2, twice), Deaths: 1, Meddles: 2, Start: stacks("-S", 1)}},
		{deep: true, Config: explore.Config{Name: "3x2-reexec", Rules: witness, Procs: alike(3, twice), Deaths: 1, Reexecs: 1, Start: stacks("-S", 1)}},
		{deep: true, Config: explore.Config{Name: "two-hosts-twice", Each: true, Rules: network, Procs: []explore.Process{on(0, 0, twice), on(0, 0, twice), on(1, 0, twice), on(1, 0, twice)}, Deaths: 2, Start: []string{"-", "S", "B", "T", "-B", "SO"}}},
		{deep: true, Config: explore.Config{Name: "lock-out-no-replace-stack", Each: true, Rules: networkNoReplace, Procs: twoHosts, Deaths: 3, Start: stacks("-SO", 2)}},
		{deep: true, Config: explore.Config{Name: "three-hosts-and-one", Each: true, Rules: networkNoReplace, Procs: []explore.Process{on(0, 0, once), on(1, 0, once), on(2, 0, once), on(1, 0, once)}, Deaths: 4, Start: stacks("-SO", 1)}},
		{deep: true, Config: explore.Config{Name: "mixed-no-replace-stack", Each: true, Rules: networkNoReplace, Procs: mixed, Deaths: 3, Start: stacks("-SO", 2)}},
		{deep: true, Config: explore.Config{Name: "mixed-three-of-one-host", Each: true, Rules: networkNoReplace, Procs: []explore.Process{earlier(0), earlier(0), on(0, 0, once), on(1, 0, once)}, Deaths: 3, Start: stacks("-SO", 1)}},
		{deep: true, Config: explore.Config{Name: "5x2", Procs: alike(5, twice), Deaths: 3, Start: empty}},
		{deep: true, Config: explore.Config{Name: "5x2-witness", Rules: witness, Procs: alike(5, twice), Deaths: 3, Start: empty}},
		{deep: true, Config: explore.Config{Name: "4x1-every", Procs: alike(4, once), Deaths: 2, Start: every}},
		{deep: true, Config: explore.Config{Name: "4x2-held", Rules: held, Procs: alike(4, twice), Deaths: 3, Start: stacks("-S", 1)}},
		{deep: true, Config: explore.Config{Name: "3x2-faults", Rules: faults, Procs: alike(3, twice), Deaths: 2, Start: stacks("-S", 1)}},
	}
	all = append(all, sharedSearches()...)
	for i := range all {
		all[i].Lone = once
		if r := all[i].Rules; !r.Waits && !r.Breaks && all[i].Agrees == nil {
			all[i].Agrees = agreeing
		}
	}
	return all
}

func configs() (out []explore.Config) {
	for _, s := range searches() {
		out = append(out, s.Config)
	}
	return out
}

// draw reports a violation, as short as it can be made.
func draw(t *testing.T, v *explore.Violation) {
	t.Helper()
	violated.Store(true)
	if r := shortest(v.Config()); r.Violation != nil {
		v = r.Violation
	}
	tr, err := v.Shrink().Trace()
	require.NoError(t, err)
	t.Errorf("%s", tr)
	page(t, tr, "A violation of: "+tr.Property, "")
}

func shortest(c explore.Config) *explore.Result {
	c.MaxStates = 10_000_000
	return explore.Shortest(&c)
}

// page writes the page of a trace, and the picture alone beside it, to where the flag says, or else to a
// directory that outlives the test.
func page(t *testing.T, tr *explore.Trace, title string, intro template.HTML) {
	t.Helper()
	name := *drawTo
	if name == "" {
		dir, err := os.MkdirTemp("", "dirlock-explore-")
		require.NoError(t, err)
		name = filepath.Join(dir, "trace.html")
	}
	f, err := os.Create(name)
	require.NoError(t, err)
	defer f.Close()
	require.NoError(t, tr.HTML(f, title, intro))
	t.Logf("drawn in %s", name)
	var picture bytes.Buffer
	require.NoError(t, tr.SVG(&picture))
	require.NoError(t, os.WriteFile(strings.TrimSuffix(name, ".html")+".svg", picture.Bytes(), 0o666))
}

// A search makes little garbage beside what it keeps, and collecting it as often
// as Go does took a fifth of the time.
func lessGC(t *testing.T) {
	before := debug.SetGCPercent(400)
	t.Cleanup(func() { debug.SetGCPercent(before) })
}

// A lock with a name does what the lock without does, step by step: with what the
// searches "named" and TestNamesShareNoFile hold, the locks of one directory are
// independent.
func TestNamesChangeNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("as TestExplore")
	}
	run := func(prog *explore.Program) [4]int {
		r := explore.Explore(&explore.Config{Name: prog.Name, Procs: alike(2, prog), Lone: once, Deaths: 2, Start: stacks("-ST", 1)})
		require.Nil(t, r.Violation)
		require.True(t, r.Complete)
		return [4]int{r.States, r.Steps, r.Depth, r.Quiescent}
	}
	require.Equal(t, run(twice), run(namedTwice))
}

func TestExplore(t *testing.T) {
	lessGC(t)
	if *replay != "" {
		t.Skip("only the replay")
	}
	if raceEnabled {
		t.Skip("a search has one goroutine, and the race detector makes it ten times slower")
	}
	for _, s := range searches() {
		t.Run(s.Name, func(t *testing.T) {
			if s.deep && !*deep {
				t.Skip("a large search: run with -explore.deep")
			}
			t.Parallel()
			stopIfBroken(t)
			r := explore.Explore(&s.Config)
			if s.breaks != "" {
				require.NotNil(t, r.Violation, r)
				tr, err := r.Violation.Shrink().Trace()
				require.NoError(t, err)
				assert.Equal(t, s.breaks, tr.Property, "%s", tr)
				t.Logf("%s", tr)
				return
			}
			if r.Violation != nil {
				draw(t, r.Violation)
				return
			}
			t.Log(r)
			for _, f := range r.Faults {
				t.Logf("injected: %+v", f)
				checkFault(t, f, s)
			}
			assert.True(t, r.Complete, "cut short")
		})
	}
}

// violated tells whether a violation has been drawn. One is enough: what breaks
// the protocol breaks it in many searches.
var violated atomic.Bool

func stopIfBroken(t *testing.T) {
	if violated.Load() {
		t.Skip("a violation was found before")
	}
}

// TestExploreAssumptions checks what the searches assume of the code: it does
// the same again when it gets the same answers, whatever the names in them are,
// and forgets what it has seen between two calls and in a pause of TryLock. It
// also runs schedules made up at random in the model and in a world of files.
func TestExploreAssumptions(t *testing.T) {
	if raceEnabled {
		t.Skip("a search has one goroutine, and the race detector makes it ten times slower")
	}
	for _, name := range []string{
		"2x2-faults-witness", "unlock-twice", "containers", "pid-again", "wait-faults", "two-handles-witness", "two-hosts-witness", "lock-out-faults", "mixed-one-host",
		"2x2-leases-late", "leases-meddle", "leases-eager", "leases-wait", "meddle-no-replace", "copies", "late-create", "reexec-no-witness", "two-handles-no-witness", "exports-witness", "views", "own-boot-no-witness",
		"shared-2x1-faults", "shared-2x2-held", "shared-wait", "shared-meddle", "shared-hosts-small", "shared-partial-small",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stopIfBroken(t)
			c := named(t, name)
			for seed := range uint64(60) {
				tr, err := explore.Walk(&c, rand.New(rand.NewPCG(seed, 0)), 150)
				require.NoError(t, err)
				require.Empty(t, tr.Property, "%s", tr)
				again, err := explore.Replay(hunts(), tr.Replay)
				require.NoError(t, err)
				require.Equal(t, tr.Steps, again.Steps)
			}
			c.Verify = true
			r := explore.Explore(&c)
			assert.True(t, r.Complete)
			t.Log(r)
		})
	}
}

// checkFault checks that an injected error surfaced wherever it must. Where it
// does not, the search has shown that no property breaks after it; here is why
// that is so.
func checkFault(t *testing.T, f explore.FaultLine, s search) {
	t.Helper()
	if f.Call == explore.Lock {
		// One that waits may be told to give up, and looks again in any case.
		return
	}
	switch f.Op {
	case "create", "self", "witnesses", "local":
		if s.eager && f.Call == explore.TryLock {
			// Who created L0 in vain looks, and then does all of this again.
			return
		}
	}
	if s.notes {
		// A note that was not made is made by the next process that is refused; one
		// that cannot be read is none; one that stays goes with the next recovery.
		switch f.Op {
		case "note", "read note", "remove note", "list":
			return
		case "read", "self":
			f.Refused, f.Released = 0, 0
		}
	}
	switch f.Op {
	case "rmdir":
		// What is empty is in nobody's way, and what is not must stay.
	case "close":
		// The file is gone, or not ours any more: nothing depends on it.
	case "local":
		// A directory of which nobody can tell counts as one that other
		// machines can reach: at worst, a dead owner counts as alive.
	case "ask for the witness":
		// Without a witness the process table decides, or nobody does: at
		// worst, a dead owner counts as alive.
	case "remove":
		// Stepping back is tried again, and who sweeps owns the lock already:
		// the next recovery sweeps again. Unlock reports it, unless it was done.
		assert.Zero(t, f.Other, "%+v", f)
	case "intact":
		// The same.
		assert.Zero(t, f.Released+f.Other, "%+v", f)
	case "read":
		if f.Call == explore.TryRLock {
			// A reader that swept owned the lock for a moment, and starts again.
			assert.Zero(t, f.Released+f.Other, "%+v", f)
			return
		}
		assert.Zero(t, f.Refused+f.Released+f.Other, "%+v", f)
	default:
		// Who sweeps owns the lock already. Everything else surfaces.
		assert.Zero(t, f.Refused+f.Released+f.Other, "%+v", f)
	}
}

// TestReplay draws the schedule of a replay string.
func TestReplay(t *testing.T) {
	if *replay == "" {
		t.Skip("no replay string: run with -explore.replay='v1:…'")
	}
	tr, err := explore.Replay(hunts(), strings.TrimSpace(*replay))
	require.NoError(t, err)
	t.Logf("%s", tr)
	page(t, tr, tr.Title(), "")
	if tr.Property != "" {
		t.Error(tr.Title())
	}
}
