package lock

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/dirlock/dirlock/proc"
)

// Status is what a directory says about its lock, at one moment.
type Status struct {
	// Dir is the resolved path of the directory.
	Dir string
	// Levels are the level files, L0 first. Most often there is none, or only
	// L0; more show that processes died while they recovered the lock.
	Levels []Level
}

// Level is one level file.
type Level struct {
	// N is the level. The owner of level 0 owns the directory; those of higher
	// levels are recovering it, or died while they did.
	N int
	// Path is the full path of the file.
	Path string
	// Owner is who made the file. It is the zero Owner if the file does not
	// tell: it is incomplete, or Err says why.
	Owner Owner
	// State is what is known of the owner. Not known to be dead is treated as
	// alive.
	State proc.State
	// Reason says in words why State is what it is.
	Reason string
	// Err is not nil if the file cannot be judged. It is a *RecordError, or
	// wraps what the system said when the file was read.
	Err error
}

// Owner returns the level of the owner of the directory, and whether there is
// one: dead or alive.
func (s Status) Owner() (Level, bool) {
	if len(s.Levels) > 0 && s.Levels[0].N == 0 {
		return s.Levels[0], true
	}
	return Level{}, false
}

// Status tells who holds the lock, without taking it. It reads the level files
// one by one, so that the answer may mix what was true at different moments. It
// fails as TryLock does, but what is wrong with a single level file is reported
// with that level.
func (l *DirLock) Status() (Status, error) {
	if l.dirErr != nil {
		return Status{}, l.wrap("status", l.dirErr)
	}
	levels, err := l.levels()
	if err != nil {
		return Status{}, l.wrap("status", err)
	}
	s := Status{Dir: l.path}
	for _, n := range levels {
		r, err := l.look(n, nil)
		if r.gone {
			continue
		}
		lv := Level{N: n, Path: filepath.Join(l.path, levelName(n)), Owner: r.owner, State: r.state, Reason: r.why, Err: err}
		if err != nil {
			lv.State, lv.Reason = proc.Unknown, err.Error()
		}
		s.Levels = append(s.Levels, lv)
	}
	return s, nil
}

// Break frees the directory from owners, named by their [Owner.ID], whom the
// verdict does not call dead: from those of another machine that will never come
// back, for example. Most often there is one; a machine that was lost while it
// recovered the lock leaves one in L0 and another above. It is a recovery in
// which they count as dead, at whatever level their files are, followed by an
// Unlock. If nobody or somebody else is in the way by then, nothing happens and
// the error matches [ErrOtherOwner]. (Where the file system cannot replace a
// file in one step, it matches that also if somebody took over from the owner
// while it was being broken.) It makes no difference what this handle holds. When ctx is done, or nil, Break fails as LockContext does.
//
// An owner that is known to be alive is only broken with force; without, the
// error matches [ErrAlive]. It is not stopped, and finds out only when it asks
// ([DirLock.Check], or Unlock). If it unlocks at the very moment of being
// broken, the lock of whoever comes next may be broken instead: stop the owner
// first, if you can.
func (l *DirLock) Break(ctx context.Context, force bool, ids ...string) error {
	return l.wrap("break", l.breakOwners(ctx, force, ids))
}

func (l *DirLock) breakOwners(ctx context.Context, force bool, ids []string) error {
	for _, id := range ids {
		if !isID(id) {
			return fmt.Errorf("%q is not the ID of an owner", id)
		}
	}
	if err := usable(ctx); err != nil {
		return err
	}
	s, err := l.Status()
	if err != nil {
		return errors.Unwrap(err)
	}
	named := false
	for _, lv := range s.Levels {
		if !slices.Contains(ids, lv.Owner.ID) {
			continue
		}
		if lv.State == proc.Alive && !force {
			return fmt.Errorf("%w: %s: %s", ErrAlive, lv.Owner, lv.Reason)
		}
		named = true
	}
	if !named {
		return ErrOtherOwner
	}

	met := false
	j := func(r look) proc.State {
		if !slices.Contains(ids, r.owner.ID) {
			return r.state
		}
		met = true
		if force || r.state != proc.Alive {
			return proc.Dead
		}
		return r.state
	}
	// A handle of its own, because this one may hold the lock.
	b := &DirLock{options: l.options, path: l.path, dir: l.dir, maxAttempts: l.maxAttempts, pause: l.pause, expectFree: l.expectFree}
	ok, blocker, err := b.try(ctx, false, j)
	switch {
	case err != nil:
		return err
	case !ok:
		return fmt.Errorf("%w: %s is in the way, in %s", ErrOtherOwner, blocker.owner, levelName(blocker.level))
	}
	// Where L0 was free, nobody has looked at the levels above it yet.
	b.sweep(j)
	if err := b.Unlock(); err != nil {
		return errors.Unwrap(err)
	}
	if !met {
		return ErrOtherOwner
	}
	return nil
}
