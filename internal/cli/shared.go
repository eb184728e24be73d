package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/dirlock/dirlock/lock"
	"github.com/dirlock/dirlock/proc"
)

// What is different if the lock is shared.

func (f *runFlags) tryLock(l *lock.DirLock) (bool, error) {
	if f.shared {
		return l.TryRLock()
	}
	return l.TryLock()
}

func (f *runFlags) lockContext(ctx context.Context, l *lock.DirLock) error {
	if f.shared {
		return l.RLockContext(ctx)
	}
	return l.LockContext(ctx)
}

func (f *runFlags) unlock(l *lock.DirLock) error {
	if f.shared {
		return l.RUnlock()
	}
	return l.Unlock()
}

// within returns an option if this run shares the lock, and is part of another one
// that does and waits for it: it must not wait for a writer that waits for that one.
func (f *runFlags) within(dir string) []lock.Option {
	if !f.shared {
		return nil
	}
	s, err := newLockOf(dir).Status()
	if err != nil {
		return nil
	}
	for _, r := range s.Readers {
		if r.Owner.ID != "" && isPartOf(r.Owner) && !inBackground(r.Owner.PID) {
			return []lock.Option{lock.WithinShared()}
		}
	}
	return nil
}

// refuseNested is [refuseNested], also if the lock is shared by a run that this one
// is part of, and this one is to have it alone. To run the command without would
// not do, then.
func (f *runFlags) refuseNested(l *lock.DirLock, hint string) error {
	if err := refuseNested(l, hint); err != nil || f.shared {
		return err
	}
	s, err := l.Status()
	if err != nil {
		return err
	}
	for _, r := range s.Readers {
		if r.Owner.ID != "" && r.State != proc.Dead && isPartOf(r.Owner) && !inBackground(r.Owner.PID) {
			return exitError{
				exitNested,
				fmt.Sprintf("this command runs under the lock of %s already, shared by %s: it would wait for itself", s.Dir, r.Owner),
				"use -s here as well, or leave it out there",
			}
		}
	}
	return nil
}

// stateFor is the state of a lock for one who wants it, and whether that is held.
func stateFor(s lock.Status, shared bool) (st lock.State, level lock.Level, held bool) {
	if shared {
		st, level = s.ForReading()
	} else {
		st, level = s.State()
	}
	return st, level, st == lock.Held || st == lock.Shared
}

// sharers says who shares a lock.
func sharers(s lock.Status, level lock.Level, now time.Time) string {
	text := fmt.Sprintf("%s is shared by %s%s", printable(s.Dir), who(level.Owner), since(level.Owner, now))
	n := -1
	for _, r := range s.Readers {
		if r.Err == nil && r.State != proc.Dead {
			n++
		}
	}
	switch {
	case n == 1:
		text += " and another one"
	case n > 1:
		text += fmt.Sprintf(" and %d others", n)
	}
	for _, w := range s.Waiting {
		if w.Err == nil && w.State != proc.Dead {
			return text + "; " + who(w.Owner) + " waits to have it alone"
		}
	}
	return text
}

const helpShared = `"dirlock run -s" shares the lock of DIR: any number of commands that were started
so run at the same time, and none beside a command without -s. So those that only
read the directory do not wait for each other.

A command without -s waits until all that share the lock have ended. While it
waits, new ones with -s wait for it: neither side can keep the other out for good.
A command that was started by one with -s, and is to run with -s in the same DIR,
does not wait for those that wait for that one. Without -s it would wait for
itself, and is refused.

The lock is the directory DIR/L0 then, with a file for each command, and DIR/LW with
one for each that waits. "dirlock status" shows them, "dirlock wait -s" waits until
the lock can be shared, and "dirlock break" frees it of one of them.`
