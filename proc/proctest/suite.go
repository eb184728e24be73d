package proctest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/dirlock/dirlock/proc"
)

// with runs f with a process, and ends the process if f has not.
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

// want demands one of several states, and a reason.
func (b Backend) want(id proc.Identity, what string, states ...proc.State) error {
	got, reason := b.Table.Probe(id)
	call := fmt.Sprintf("Probe(PID %d, Unique %q, Start %q)", id.PID, id.Unique, id.Start)
	if reason == "" {
		return fmt.Errorf("%s = %v without a reason", call, got)
	}
	if !slices.Contains(states, got) {
		return fmt.Errorf("%s: %s = %v (%s), want %v", what, call, got, reason, states)
	}
	return nil
}

// living returns the states that a live process may have. It is known to be alive
// only if something is known that no other process has.
func living(id proc.Identity) []proc.State {
	if id.Unique == "" && id.Start == "" {
		return []proc.State{proc.Unknown}
	}
	return []proc.State{proc.Alive, proc.Unknown}
}

// poll asks until the answer is yes, but no longer than patience allows.
func (b Backend) poll(ask func() bool) {
	deadline := time.Now().Add(b.Patience)
	for pause := 10 * time.Microsecond; !ask() && time.Now().Before(deadline); pause = min(2*pause, 100*time.Millisecond) {
		time.Sleep(pause)
	}
}

// dies waits until the table says that a process is dead.
func (b Backend) dies(id proc.Identity, what string) (err error) {
	b.poll(func() bool {
		err = b.want(id, what, proc.Dead)
		return err == nil
	})
	return err
}
