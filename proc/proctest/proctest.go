// Package proctest checks process tables: that of the operating system, a fake
// one, or anybody's own.
package proctest

import (
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dirlock/dirlock/proc"
)

// Backend is a process table to check, and how to have other processes in it.
type Backend struct {
	// Table is the table as the calling process sees it.
	Table proc.Table
	// Start starts a process that lives until it is killed. It is of the same
	// Boot and Namespace as the calling process.
	Start func() (Process, error)
}

// Process is a process that [Backend] started. Its parent is the one that
// calls Reap.
type Process struct {
	// ID is what its own table says that it is.
	ID proc.Identity
	// Kill ends it, as SIGKILL does. It may return earlier than it has ended.
	Kill func() error
	// Reap waits until it has ended, and frees its PID. It is called after
	// Kill, once, and always.
	Reap func() error
}

// patience is how long the suite waits for what a table should show soon. It is
// used up only by a failure.
const patience = 10 * time.Second

// checks are what a table must stand, by name.
var checks = []struct {
	name  string
	check func(Backend) error
}{
	{"self", checkSelf},
	{"alive", checkAlive},
	{"other start", checkOtherStart},
	{"impossible PID", checkImpossible},
	{"death", checkDeath},
	{"notify", checkNotify},
	{"notify of the dead", checkNotifyDead},
	{"stop", checkStop},
	{"concurrent", checkConcurrent},
}

// Check checks a table and returns what is wrong with it, all errors joined, or
// nil. What is optional and missing, as events may be, is not wrong. It blocks
// for the time that the processes take, and some 10 s more for each promise
// that is not kept.
func Check(b Backend) error {
	var errs []error
	for _, c := range checks {
		if err := c.check(b); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", c.name, err))
		}
	}
	return errors.Join(errs...)
}

// Run is [Check] with a subtest for each promise.
func Run(t *testing.T, b Backend) {
	t.Helper()
	for _, c := range checks {
		t.Run(strings.ReplaceAll(c.name, " ", "-"), func(t *testing.T) {
			if err := c.check(b); err != nil {
				t.Error(err)
			}
		})
	}
}

// probe asks for a process, and demands a reason.
func probe(t proc.Table, id proc.Identity) (proc.State, error) {
	state, reason := t.Probe(id)
	if reason == "" {
		return state, fmt.Errorf("Probe(PID %d, Start %q) = %v without a reason", id.PID, id.Start, state)
	}
	return state, nil
}

// want demands one of several states.
func want(t proc.Table, id proc.Identity, what string, states ...proc.State) error {
	got, err := probe(t, id)
	if err != nil {
		return err
	}
	for _, s := range states {
		if got == s {
			return nil
		}
	}
	_, reason := t.Probe(id)
	return fmt.Errorf("%s: Probe(PID %d, Start %q) = %v (%s), want %v", what, id.PID, id.Start, got, reason, states)
}

// living returns the states that a live process may have: it is known to be
// alive only if it has a start time.
func living(id proc.Identity) []proc.State {
	if id.Start == "" {
		return []proc.State{proc.Unknown}
	}
	return []proc.State{proc.Alive, proc.Unknown}
}

// poll asks until the answer is yes, but no longer than patience allows.
func poll(ask func() bool) {
	deadline := time.Now().Add(patience)
	for pause := 10 * time.Microsecond; !ask() && time.Now().Before(deadline); pause = min(2*pause, 100*time.Millisecond) {
		time.Sleep(pause)
	}
}

// dies waits until the table says that a process is dead.
func dies(t proc.Table, id proc.Identity, what string) (err error) {
	poll(func() bool {
		err = want(t, id, what, proc.Dead)
		return err == nil
	})
	return err
}

// with runs f with a process, which is ended afterwards if f did not.
func (b Backend) with(f func(p *Process) error) (err error) {
	p, err := b.Start()
	if err != nil {
		return fmt.Errorf("start of a process: %w", err)
	}
	kill, reap := p.Kill, p.Reap
	p.Kill, p.Reap = sync.OnceValue(kill), sync.OnceValue(reap)
	defer func() { err = errors.Join(err, p.Kill(), p.Reap()) }()
	return f(&p)
}

func checkSelf(b Backend) error {
	id, err := b.Table.Self()
	if err != nil {
		return fmt.Errorf("Self: %w", err)
	}
	if id.PID <= 0 {
		return fmt.Errorf("Self: PID %d", id.PID)
	}
	for name, s := range map[string]string{"Start": id.Start, "Boot": id.Boot, "Namespace": id.Namespace} {
		if strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
			return fmt.Errorf("Self: %s %q has a space or a control character", name, s)
		}
	}
	again, err := b.Table.Self()
	if err != nil || again != id {
		return fmt.Errorf("Self changes: %+v, then %+v, %v", id, again, err)
	}
	if id.Start == "" {
		return want(b.Table, id, "self", proc.Unknown)
	}
	return want(b.Table, id, "self", proc.Alive)
}

func checkAlive(b Backend) error {
	self, err := b.Table.Self()
	if err != nil {
		return err
	}
	return b.with(func(p *Process) error {
		if p.ID.PID == self.PID || p.ID.Boot != self.Boot || p.ID.Namespace != self.Namespace {
			return fmt.Errorf("the process started is %+v; this one is %+v", p.ID, self)
		}
		// More than once: a probe must not be what ends it.
		for range 10 {
			if err := want(b.Table, p.ID, "a live process", living(p.ID)...); err != nil {
				return err
			}
		}
		unknown := p.ID
		unknown.Start = ""
		return want(b.Table, unknown, "a live process of unknown start", proc.Unknown)
	})
}

func checkOtherStart(b Backend) error {
	self, err := b.Table.Self()
	if err != nil {
		return err
	}
	return b.with(func(p *Process) error {
		for _, id := range []proc.Identity{p.ID, self} {
			if id.Start == "" {
				continue
			}
			for _, start := range []string{"", "0", "1" + id.Start, id.Start + "1", id.Start[1:], "x"} {
				other := id
				other.Start = start
				if err := want(b.Table, other, "another start", proc.Dead, proc.Unknown); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func checkImpossible(b Backend) error {
	self, err := b.Table.Self()
	if err != nil {
		return err
	}
	return b.with(func(p *Process) error {
		pids := []int{0, -1, -self.PID, -p.ID.PID, math.MinInt32, math.MinInt}
		if math.MaxInt > math.MaxUint32 {
			pids = append(pids, math.MaxInt) // too large for every system
		}
		for _, pid := range pids {
			if err := want(b.Table, proc.Identity{PID: pid, Start: p.ID.Start}, "an impossible PID", proc.Dead); err != nil {
				return err
			}
			if ended, stop, err := proc.Notify(b.Table, proc.Identity{PID: pid}); err == nil {
				err = receives(ended, "of an impossible PID")
				if err := errors.Join(err, returns(stop)); err != nil {
					return err
				}
			} else if !errors.Is(err, errors.ErrUnsupported) {
				return err
			}
		}
		return want(b.Table, p.ID, "a live process, after probes of impossible PIDs", living(p.ID)...)
	})
}

func checkDeath(b Backend) error {
	return b.with(func(p *Process) error {
		if err := want(b.Table, p.ID, "a live process", living(p.ID)...); err != nil {
			return err
		}
		if err := p.Kill(); err != nil {
			return err
		}
		// A table that sees no start times need not see zombies either.
		if p.ID.Start != "" {
			if err := dies(b.Table, p.ID, "a zombie"); err != nil {
				return err
			}
		}
		if err := p.Reap(); err != nil {
			return err
		}
		return dies(b.Table, p.ID, "a process that was reaped")
	})
}

// receives demands that a channel receives, and is not closed.
func receives(ended <-chan struct{}, what string) error {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case _, ok := <-ended:
		if !ok {
			return fmt.Errorf("the channel %s is closed", what)
		}
		return nil
	case <-timer.C:
		return fmt.Errorf("the channel %s received nothing", what)
	}
}

// open demands that a channel is not closed.
func open(ended <-chan struct{}) error {
	for {
		select {
		case _, ok := <-ended:
			if !ok {
				return errors.New("the channel is closed after stop")
			}
		default:
			return nil
		}
	}
}

func checkNotify(b Backend) error {
	return b.with(func(p *Process) error {
		ended, stop, err := proc.Notify(b.Table, p.ID)
		if errors.Is(err, errors.ErrUnsupported) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("Notify: %w", err)
		}
		if err := p.Kill(); err != nil {
			return err
		}
		// It may receive early, for no reason; after the end it has to.
		err = receives(ended, "of a process that ends")
		if err := errors.Join(err, returns(stop)); err != nil {
			return err
		}
		return open(ended)
	})
}

func checkNotifyDead(b Backend) error {
	return b.with(func(p *Process) error {
		if err := p.Kill(); err != nil {
			return err
		}
		for _, what := range []string{"of a zombie", "of a process that was reaped"} {
			ended, stop, err := proc.Notify(b.Table, p.ID)
			if errors.Is(err, errors.ErrUnsupported) {
				return nil
			}
			if err != nil {
				return fmt.Errorf("Notify %s: %w", what, err)
			}
			err = receives(ended, what)
			if err := errors.Join(err, returns(stop)); err != nil {
				return err
			}
			if err := p.Reap(); err != nil {
				return err
			}
		}
		return nil
	})
}

// checkStop takes and stops so many notifications that a leak stands out from
// whatever else the process does meanwhile.
func checkStop(b Backend) error {
	const many = 500
	return b.with(func(p *Process) error {
		notify := func() error {
			ended, stop, err := proc.Notify(b.Table, p.ID)
			if err != nil {
				return err
			}
			if err := returns(stop); err != nil {
				return err
			}
			return open(ended)
		}
		if err := notify(); errors.Is(err, errors.ErrUnsupported) {
			return nil
		} else if err != nil {
			return err
		}
		for _, r := range []struct {
			name  string
			count func() int
		}{
			{"goroutines", runtime.NumGoroutine},
			{"descriptors", descriptors},
		} {
			before := r.count()
			for range many {
				if err := notify(); err != nil {
					return err
				}
			}
			if after := settle(r.count, before+many/2); after > before+many/2 {
				return fmt.Errorf("stop leaks: %d %s before, %d after %d notifications", before, r.name, after, many)
			}
		}
		return want(b.Table, p.ID, "a live process, after stop", living(p.ID)...)
	})
}

// returns demands that stop returns.
func returns(stop func()) error {
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		stop()
	}()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-stopped:
		return nil
	case <-timer.C:
		return errors.New("stop does not return")
	}
}

// descriptors returns how many files this process has open, or 0 where nothing
// tells.
func descriptors() int {
	entries, _ := os.ReadDir("/dev/fd")
	return len(entries)
}

// settle waits until count is not above limit, and returns what it is.
func settle(count func() int, limit int) (n int) {
	poll(func() bool {
		n = count()
		return n <= limit
	})
	return n
}

// checkConcurrent uses a table from many goroutines at once while a process
// ends, for the race detector to watch.
func checkConcurrent(b Backend) error {
	return b.with(func(p *Process) error {
		const many = 8
		errs := make(chan error, many)
		for range many {
			go func() {
				errs <- func() error {
					if _, err := b.Table.Self(); err != nil {
						return err
					}
					ended, stop, err := proc.Notify(b.Table, p.ID)
					if err == nil {
						err = receives(ended, "of a process that ends")
						err = errors.Join(err, returns(stop))
					}
					if err != nil && !errors.Is(err, errors.ErrUnsupported) {
						return err
					}
					if p.ID.Start == "" {
						return nil // it may be a zombie, and look alive
					}
					return dies(b.Table, p.ID, "a process that was killed")
				}()
			}()
		}
		err := p.Kill()
		for range many {
			err = errors.Join(err, <-errs)
		}
		return err
	})
}
