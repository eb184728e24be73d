package proctest

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/dirlock/dirlock/proc"
)

func checkSelf(b Backend) error {
	id, err := b.Table.Self()
	if err != nil {
		return fmt.Errorf("Self: %w", err)
	}
	if id.PID <= 0 {
		return fmt.Errorf("Self: PID %d", id.PID)
	}
	for name, value := range map[string]string{"Unique": id.Unique, "Start": id.Start, "Boot": id.Boot, "Namespace": id.Namespace} {
		if strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
			return fmt.Errorf("Self: %s %q has a space or a control character", name, value)
		}
	}
	again, err := b.Table.Self()
	if err != nil || again != id {
		return fmt.Errorf("Self changes: %+v, then %+v, %v", id, again, err)
	}
	if id.Unique == "" && id.Start == "" {
		return b.want(id, "self", proc.Unknown)
	}
	return b.want(id, "self", proc.Alive)
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
			if err := b.want(p.ID, "a live process", living(p.ID)...); err != nil {
				return err
			}
		}
		unstarted := p.ID
		unstarted.Start = ""
		if err := b.want(unstarted, "a live process of unknown start", living(unstarted)...); err != nil {
			return err
		}
		// As an older version of the table, or of the system, identified it.
		older := p.ID
		older.Unique = ""
		if err := b.want(older, "a live process without Unique", living(older)...); err != nil {
			return err
		}
		older.Start = ""
		return b.want(older, "a live process of unknown start and without Unique", proc.Unknown)
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
				other.Unique, other.Start = "", start
				if err := b.want(other, "another start", proc.Dead, proc.Unknown); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// checkOtherUnique: a PID that is used again has another Unique, even if the start
// times are the same.
func checkOtherUnique(b Backend) error {
	self, err := b.Table.Self()
	if err != nil {
		return err
	}
	return b.with(func(p *Process) error {
		for _, id := range []proc.Identity{p.ID, self} {
			if id.Unique == "" {
				continue
			}
			if p.ID.Unique == self.Unique {
				return fmt.Errorf("two processes have the Unique %q", self.Unique)
			}
			for _, unique := range []string{"0", "1" + id.Unique, id.Unique + "1", "x"} {
				other := id
				other.Unique = unique
				if err := b.want(other, "another Unique", proc.Dead, proc.Unknown); err != nil {
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
			if err := b.want(proc.Identity{PID: pid, Unique: p.ID.Unique, Start: p.ID.Start}, "an impossible PID", proc.Dead); err != nil {
				return err
			}
			if ended, stop, err := proc.Notify(b.Table, proc.Identity{PID: pid}); err == nil {
				err = b.receives(ended, "of an impossible PID")
				if err := errors.Join(err, b.returns(stop)); err != nil {
					return err
				}
			} else if !errors.Is(err, errors.ErrUnsupported) {
				return err
			}
		}
		return b.want(p.ID, "a live process, after probes of impossible PIDs", living(p.ID)...)
	})
}

func checkDeath(b Backend) error {
	return b.with(func(p *Process) error {
		if err := b.want(p.ID, "a live process", living(p.ID)...); err != nil {
			return err
		}
		if err := p.Kill(); err != nil {
			return err
		}
		// A table that cannot tell processes apart need not see zombies either.
		if p.ID.Unique != "" || p.ID.Start != "" {
			if err := b.dies(p.ID, "a zombie"); err != nil {
				return err
			}
		}
		if err := p.Reap(); err != nil {
			return err
		}
		return b.dies(p.ID, "a process that was reaped")
	})
}
