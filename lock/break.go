package lock

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/dirlock/dirlock/proc"
)

// Break releases the lock of the given owners, named by their [Level.BreakID],
// although they are not known to be dead: a process of another machine that will
// never come back, for example. Most often there is one; a machine that crashed
// during a takeover leaves one in L0 and another above it. Break takes over as
// if they were dead, at whatever level their files are, and unlocks. Of readers, and
// of writers that wait for them, it removes the files; the others share the lock on.
//
// The error matches [ErrOtherOwner] if none of the given owners is in the way, or
// if somebody else is too, whom it names; nothing has happened then. (Where the file system
// cannot replace a file in one step, it matches that also if somebody took over
// from the owner while it was being broken.) The error matches [ErrAlive] if one
// of them is known to be alive. It is another error if one of the IDs cannot be
// that of an owner. Break does not wait for other owners. It does not matter
// whether this handle holds the lock. If ctx is done, the error matches that of
// ctx; a nil ctx is an error.
func (l *DirLock) Break(ctx context.Context, ids ...string) error {
	return l.wrap("break", l.breakOwners(ctx, false, ids))
}

// ForceBreak is Break, and breaks owners that are known to be alive as well. They
// are not stopped: they learn of it by [DirLock.Lost], [DirLock.Held] or
// [DirLock.Check], if they use these, and otherwise from Unlock. If an owner
// unlocks at the very moment of being broken, the lock of the next owner may be
// broken instead: stop the owner first, if you can.
func (l *DirLock) ForceBreak(ctx context.Context, ids ...string) error {
	return l.wrap("break", l.breakOwners(ctx, true, ids))
}

func (l *DirLock) breakOwners(ctx context.Context, force bool, ids []string) error {
	for _, id := range ids {
		if !isID(id) && !isLevelName(id) {
			return fmt.Errorf("%q is not the ID of an owner", id)
		}
	}
	if err := ctxErr(ctx); err != nil {
		return err
	}
	shared, err := l.mayBreak(force, ids)
	if err != nil {
		return err
	}
	met := false
	// A handle of its own, because this one may hold the lock.
	b := &DirLock{options: l.options, path: l.path, named: l.named, overrule: func(r look) proc.State {
		if !slices.Contains(ids, breakID(r.owner, r.torn && r.in == "", r.level)) {
			return r.state
		}
		met = true
		if force || r.state != proc.Alive {
			return proc.Dead
		}
		return r.state
	}}
	if shared {
		left, err := b.breakReaders(ids)
		if err != nil || len(left) == 0 {
			return err
		}
		met = len(left) < len(ids)
	}
	ok, blocker, err := b.try(ctx, want{waiting: true})
	switch {
	case err != nil:
		return err
	case !ok:
		return fmt.Errorf("%w: %s is in the way, in %s", ErrOtherOwner, blocker.owner, namePrefix(l.name)+levelName(blocker.level))
	}
	// Where L0 was free, nobody has looked at the levels above it yet.
	v := visit{DirLock: b, dir: b.held.dir}
	v.sweep(1, nil)
	l.emit(v.events...)
	if err := b.Unlock(); err != nil {
		return errors.Unwrap(err)
	}
	if !met {
		return ErrOtherOwner
	}
	return nil
}

// mayBreak returns why the owners are not to be broken, or else whether some of
// them are readers, or writers that wait.
func (l *DirLock) mayBreak(force bool, ids []string) (shared bool, err error) {
	s, err := l.Status()
	if err != nil {
		return false, errors.Unwrap(err)
	}
	named := false
	for _, level := range slices.Concat(s.Levels, s.Readers, s.Waiting) {
		if !slices.Contains(ids, level.BreakID()) {
			continue
		}
		if level.State == proc.Alive && !force {
			return false, fmt.Errorf("%w: %s: %s", ErrAlive, level.Owner, level.Reason)
		}
		named, shared = true, shared || level.in != ""
	}
	if !named {
		return false, ErrOtherOwner
	}
	if shared {
		return true, nil // of readers, those are broken that are named
	}
	var others, all []string
	for _, level := range s.InTheWay() {
		id := level.BreakID()
		if !slices.Contains(ids, id) && id != "" {
			others = append(others, fmt.Sprintf("%s in %s (%s)", level.owner(), filepath.Base(level.Path), level.State))
		}
		all = append(all, id)
	}
	if len(others) > 0 {
		return false, fmt.Errorf("%w: also in the way: %s; to break them all, name %s", ErrOtherOwner, strings.Join(others, ", "), strings.Join(all, " and "))
	}
	return false, nil
}

// breakID is what Break takes for an owner. The owner of an incomplete record has
// no ID, and is named by its level.
func breakID(o Owner, torn bool, level int) string {
	if torn {
		return levelName(level)
	}
	return o.ID
}

// isLevelName tells whether s is the name of a level file.
func isLevelName(s string) bool {
	n, err := strconv.Atoi(strings.TrimPrefix(s, levelPrefix))
	return err == nil && n >= 0 && s == levelName(n)
}
