package lock_test

import (
	"context"
	"errors"
	"flag"
	"testing"

	"github.com/dirlock/dirlock/internal/testutil/explore"
	"github.com/dirlock/dirlock/lock"
)

var deep = flag.Bool("explore.deep", false, "go through the large searches, too: minutes")

// attempts is the bound on the attempts of one TryLock.
const attempts = 2

func handle(p *explore.Proc) *lock.DirLock {
	l := lock.New("dir", lock.WithFS(p.FS()), lock.WithProcesses(p.Table()), lock.WithClock(p.Now), lock.WithRand(p.Rand()))
	lock.SetExplored(l, attempts, p.Pause)
	return l
}

// try is a round of TryLock.
func try(p *explore.Proc, l *lock.DirLock, left int) bool {
	p.Call(explore.TryLock, left)
	ok, err := l.TryLock()
	switch {
	case err != nil:
		p.Failed(err, errors.Is(err, explore.ErrInjected))
	case ok:
		p.Acquired()
	default:
		p.Refused()
	}
	return ok
}

// unlock is Unlock by the holder, repeated if it failed.
func unlock(p *explore.Proc, l *lock.DirLock, left int) {
	for range 3 {
		p.Call(explore.Unlock, left)
		switch err := l.Unlock(); {
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
}

// rounds is a program that tries to lock, and unlocks if it got the lock.
func rounds(n int) *explore.Program {
	return &explore.Program{Name: "rounds", Run: func(p *explore.Proc) {
		l := handle(p)
		for left := n - 1; left >= 0; left-- {
			if try(p, l, left) {
				unlock(p, l, left)
			}
		}
	}}
}

var (
	once  = rounds(1)
	twice = rounds(2)
)

func alike(n int, prog *explore.Program) (ps []explore.Process) {
	for range n {
		ps = append(ps, explore.Process{Threads: []*explore.Program{prog}})
	}
	return ps
}

var _ = context.Background

func TestExploreQuick(t *testing.T) {
	for _, c := range []explore.Config{
		{Name: "2x1", Procs: alike(2, once), Deaths: 1, Start: []string{"-"}, Lone: once, Verify: true},
		{Name: "2x2", Procs: alike(2, twice), Deaths: 1, Start: []string{"-"}, Lone: once},
		{Name: "3x1", Procs: alike(3, once), Deaths: 2, Start: []string{"-"}, Lone: once},
		{Name: "3x2", Procs: alike(3, twice), Deaths: 2, Start: []string{"-"}, Lone: once},
		{Name: "4x1", Procs: alike(4, once), Deaths: 2, Start: []string{"-"}, Lone: once},
	} {
		r := explore.Explore(&c)
		t.Log(r)
		if r.Violation != nil {
			t.Error(r.Violation.Property, r.Violation.Detail)
		}
	}
}
