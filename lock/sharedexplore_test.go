package lock_test

import (
	"context"
	"time"

	"github.com/dirlock/dirlock/internal/testutil/explore"
	"github.com/dirlock/dirlock/lock"
)

// The searches of locks that are shared.

func tryRLock(p *explore.Proc, l *lock.DirLock, left int) bool {
	p.Call(explore.TryRLock, left)
	ok, err := l.TryRLock()
	return tried(p, ok, err)
}

// runlock is RUnlock by a reader, again if it failed.
func runlock(p *explore.Proc, l *lock.DirLock, left int) {
	release(p, l, explore.RUnlock, l.RUnlock, left)
}

// mixed is a program that locks so many times, in either way each time.
func mixed(n int) *explore.Program {
	return &explore.Program{Name: "mixed", Run: func(p *explore.Proc) {
		l := handle(p)
		for left := n - 1; left >= 0; left-- {
			p.Call("Choose", left)
			if p.Choose() {
				if tryRLock(p, l, left) {
					runlock(p, l, left)
				}
			} else if tryLock(p, l, left) {
				unlock(p, l, left)
			}
		}
	}}
}

var (
	mixedOnce  = mixed(1)
	mixedTwice = mixed(2)

	readOnce = &explore.Program{Name: "read", Run: func(p *explore.Proc) {
		if l := handle(p); tryRLock(p, l, 0) {
			runlock(p, l, 0)
		}
	}}

	// agreeingReader looks, tries to lock for reading, and compares the answers.
	agreeingReader = &explore.Program{Name: "status and lock for reading", Run: func(p *explore.Proc) {
		l := handle(p)
		p.Call(explore.Status, 0)
		s, err := l.Status()
		state, level := s.ForReading()
		seen := int(state)<<8 | level.N
		if err != nil {
			seen = -1
		}
		p.Call(explore.TryRLock, seen)
		ok, err := l.TryRLock()
		p.Compared()
		switch free := state == lock.Free || state == lock.Stale; {
		case err != nil && (seen < 0 || state == lock.Unreadable):
		case err != nil || seen < 0:
			p.Wrong("Status says %v, and TryRLock fails: %v", state, err)
		case ok != free || state == lock.Unreadable:
			p.Wrong("Status says %v, and TryRLock returns %v", state, ok)
		}
	}}

	readWaiter = waitsToRead()
)

// waitsToRead is waits, for reading.
func waitsToRead(opts ...lock.Option) *explore.Program {
	return &explore.Program{Name: "wait to read", Run: func(p *explore.Proc) {
		l := lock.New("dir", append(opts, lock.WithFS(p.FS()), lock.WithProcesses(p.Table()), lock.WithClock(p.Now), lock.WithRand(p.Rand()))...)
		pauses := 0
		lock.SetExplored(l, attempts, func(ctx context.Context, d time.Duration, changed, ended <-chan struct{}) error {
			if pauses++; pauses > 3 {
				return context.Canceled
			}
			return p.Pause(ctx, d, changed, ended)
		}, false, p.Holds)
		p.Call(explore.RLock, 0)
		err := l.RLockContext(context.Background())
		if tried(p, err == nil, err) {
			runlock(p, l, 0)
		}
	}}
}

// sharedSearches are those of TestExplore in which the lock is shared.
func sharedSearches() []search {
	shares := func(f func(*explore.Rules)) explore.Rules {
		r := explore.Rules{Shares: true}
		f(&r)
		return r
	}
	plain := shares(func(*explore.Rules) {})
	held := shares(func(r *explore.Rules) { r.Held = true })
	witness := shares(func(r *explore.Rules) { r.Witness = true })
	noReplace := shares(func(r *explore.Rules) { r.NoReplace = true })
	faults := shares(func(r *explore.Rules) { r.Faults = true })
	network := shares(func(r *explore.Rules) { r.Network = true })
	partial := shares(func(r *explore.Rules) { r.Partial = true })
	empties := shares(func(r *explore.Rules) { r.Empties = true })
	events := shares(func(r *explore.Rules) { r.Events, r.Waits = true, true })
	kinds := []string{"-", "S", "E", "R", "W", "T", "F", "SS", "ES", "RS"}
	all := []search{
		{Config: explore.Config{Name: "shared-2x2", Agrees: agreeingReader, Rules: plain, Procs: alike(2, mixedTwice), Deaths: 2, Start: kinds}},
		{Config: explore.Config{Name: "shared-2x2-held", Attempts: attempts, Rules: held, Procs: alike(2, mixedTwice), Deaths: 2, Start: kinds}},
		{Config: explore.Config{Name: "shared-3x1", Rules: plain, Procs: alike(3, mixedOnce), Deaths: 2, Start: kinds}},
		{Config: explore.Config{Name: "shared-3x1-held", Attempts: attempts, Rules: held, Procs: alike(3, mixedOnce), Deaths: 2, Start: []string{"-", "S", "R"}}},
		{Config: explore.Config{Name: "shared-3x1-witness", Rules: witness, Procs: alike(3, mixedOnce), Deaths: 2, Start: []string{"-", "R"}}},
		{Config: explore.Config{Name: "shared-3x1-no-replace", Agrees: agreeingReader, Rules: noReplace, Procs: alike(3, mixedOnce), Deaths: 2, Start: []string{"-", "S", "R", "SS"}}},
		{Config: explore.Config{Name: "shared-2x1-faults", Rules: faults, Procs: alike(2, mixedOnce), Deaths: 1, Start: kinds}},
		{Config: explore.Config{Name: "shared-partial", Rules: partial, Procs: alike(3, mixedOnce), Deaths: 1, Start: []string{"-", "R"}}},
		{Config: explore.Config{Name: "shared-hosts", Agrees: agreeingReader, Rules: network, Procs: []explore.Process{on(0, 0, mixedOnce), on(0, 0, mixedOnce), on(1, 0, mixedOnce)}, Deaths: 2, Start: []string{"-", "S", "R"}}},
		{Config: explore.Config{Name: "shared-meddle", Rules: shares(func(r *explore.Rules) { r.Meddle = explore.MeddleRemove }), Procs: alike(2, mixedTwice), Deaths: 1, Start: empty}},
		{Config: explore.Config{Name: "shared-empties", Rules: empties, Procs: alike(2, mixedOnce), Start: empty}, breaks: explore.OwnFiles},
		{Config: explore.Config{Name: "shared-wait", Rules: events, Procs: []explore.Process{process(readOnce), process(waiter)}, Deaths: 1, Start: []string{"-", "R"}}},
		{Config: explore.Config{Name: "shared-wait-wait", Rules: events, Procs: []explore.Process{process(waiter), process(readWaiter)}, Deaths: 1, Start: []string{"-", "W"}}},
		{deep: true, Config: explore.Config{Name: "shared-3x2", Rules: plain, Procs: alike(3, mixedTwice), Deaths: 2, Start: []string{"-", "S", "E", "R", "W"}}},
		{deep: true, Config: explore.Config{Name: "shared-4x1", Rules: plain, Procs: alike(4, mixedOnce), Deaths: 2, Start: empty}},
		{deep: true, Config: explore.Config{Name: "shared-5x1", Rules: plain, Procs: alike(5, mixedOnce), Deaths: 3, Start: empty}},
		{deep: true, Config: explore.Config{Name: "shared-4x2", Rules: plain, Procs: alike(4, mixedTwice), Deaths: 2, Start: empty}},
		{deep: true, Config: explore.Config{Name: "shared-wait-3", Rules: events, Procs: []explore.Process{process(waiter), process(readWaiter), process(readWaiter)}, Deaths: 1, Start: empty}},
	}
	for i := range all {
		all[i].LoneReader = readOnce
	}
	return all
}

// sharedHunts are the small searches for mutants.
func sharedHunts() []explore.Config {
	plain := explore.Rules{Shares: true}
	heldToo := explore.Rules{Shares: true, Held: true}
	cs := []explore.Config{
		{Name: "shared-2x1", Rules: plain, Procs: alike(2, mixedOnce), Deaths: 1, Start: []string{"-", "E", "R"}},
		{Name: "shared-2x1-held", Attempts: attempts, Rules: heldToo, Procs: alike(2, mixedOnce), Deaths: 1, Start: []string{"-", "E"}},
		{Name: "shared-2x1-stale", Rules: plain, Procs: alike(2, mixedOnce), Deaths: 1, Start: []string{"S"}},
		{Name: "shared-hosts-small", Rules: explore.Rules{Shares: true, Network: true, Witness: true}, Procs: []explore.Process{on(0, 0, mixedTwice), on(1, 0, mixedOnce)}, Deaths: 1, Start: []string{"-", "R", "E"}},
		{Name: "shared-partial-small", Rules: explore.Rules{Shares: true, Partial: true}, Procs: alike(3, mixedOnce), Start: []string{"-"}},
		{Name: "shared-2x1-claim", Rules: plain, Procs: alike(2, mixedOnce), Deaths: 1, Start: []string{"W"}},
		{Name: "shared-3x1-stale", Rules: plain, Procs: alike(3, mixedOnce), Deaths: 1, Start: []string{"S"}, Only: explore.OwnFiles},
		{Name: "shared-3x1-stack", Rules: plain, Procs: alike(3, mixedOnce), Deaths: 2, Start: []string{"-", "S", "SS"}, Only: explore.OwnFiles},
		{Name: "shared-4x1-stack", Rules: plain, Procs: alike(4, mixedOnce), Deaths: 2, Start: []string{"SS"}, Only: explore.OwnFiles},
	}
	for i := range cs {
		cs[i].LoneReader = readOnce
	}
	return cs
}
