package lock

import "context"

// WaitFree waits until nobody holds the lock, or its owner is dead, and returns
// the Status of that moment: its State is not Held. It takes nothing and changes
// nothing, so that somebody else may have the lock by the time it returns. It is
// woken as Lock is. When ctx is done, or nil, it fails as LockContext does, and
// returns the last Status that it has seen.
func (l *DirLock) WaitFree(ctx context.Context) (Status, error) {
	if err := ctxErr(ctx); err != nil {
		return Status{}, l.wrap("wait", err)
	}
	w := waiter{DirLock: l, onlyLooks: true}
	defer w.unwatch()
	for {
		s, err := l.Status()
		if err != nil {
			return s, err
		}
		state, level := s.State()
		if state != Held {
			return s, nil
		}
		blocker := look{level: level.N, owner: level.Owner, verdict: verdict{state: level.State, why: level.Reason}}
		if err := w.wait(ctx, blocker); err != nil {
			return s, l.wrap("wait", err)
		}
	}
}
