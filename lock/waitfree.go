package lock

import (
	"context"
	"errors"

	"github.com/dirlock/dirlock/fsys"
)

// WaitFree waits until nobody holds the lock, or its owner is dead, and returns
// the Status of that moment: its State is neither Held nor Shared. It takes nothing and changes
// nothing, so that somebody else may have the lock by the time it returns. It is
// woken as Lock is. It always looks once. If ctx is done while the lock is held,
// the error matches that of ctx, and the Status is the last one that was seen. A
// nil ctx is an error. It fails otherwise as [DirLock.Status] does.
func (l *DirLock) WaitFree(ctx context.Context) (Status, error) {
	return l.waitUntil(ctx, func(s Status) (Level, bool) {
		state, level := s.State()
		return level, state != Held && state != Shared
	})
}

// waitUntil waits until a Status is what the caller wants. If it is not, free
// returns who is in the way.
func (l *DirLock) waitUntil(ctx context.Context, free func(Status) (Level, bool)) (Status, error) {
	if ctx == nil {
		return Status{}, l.wrap("wait", ctxErr(ctx))
	}
	w := waiter{DirLock: l, onlyLooks: true}
	defer w.unwatch()
	for {
		s, err := l.Status()
		if w.blocked && errors.Is(err, fsys.ErrUnavailable) {
			if err := w.sitOut(ctx, err); err != nil {
				return s, l.wrap("wait", err)
			}
			continue
		}
		if err != nil {
			return s, err
		}
		level, ok := free(s)
		if ok {
			return s, nil
		}
		blocker := look{level: level.N, in: level.in, name: level.Owner.ID, owner: level.Owner, verdict: verdict{state: level.State, why: level.Reason, row: level.row}}
		if err := w.wait(ctx, blocker); err != nil {
			return s, l.wrap("wait", err)
		}
	}
}
