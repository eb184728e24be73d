package lock

import (
	"context"
	"errors"
	"io/fs"

	"github.com/dirlock/dirlock/fsys"
)

// What is different in a store in which files hang on leases of their owners: see
// [github.com/dirlock/dirlock/fsys.Swapper].

// The rows of the truth table in docs/liveness.md for such a store. It knows by
// itself who is dead, and so neither records nor process tables are asked.
const (
	rowLeased = 18
	rowEnded  = 19
)

// leased tells whether a file is in such a store.
func (r look) leased() bool { return r.Witness == fsys.Leased || r.Witness == fsys.Ended }

// swap is step 3 in such a store. Levels protect nothing where the store removes L0
// by itself; but it replaces a file only if it is still the one that was judged.
func (v *visit) swap(m look) (h *hold, blocker look, again bool, err error) {
	h, err = v.make(func(_ string, data []byte) (fsys.File, error) {
		return fsys.Swap(v.dir, levelName(0), m.Snapshot, data)
	})
	switch {
	case errors.Is(err, fs.ErrExist), errors.Is(err, fs.ErrNotExist):
		return nil, m, true, nil // somebody was faster
	case err != nil:
		return nil, m, false, err
	}
	v.logRecovered(h, 0, m)
	return h, m, false, nil
}

// Token returns the fencing token of the lock that this handle holds, and whether
// there is one. Every later owner of the lock has a greater token. A resource that
// keeps the greatest token that it has seen, and refuses what comes with a lower
// one, is safe from an owner that has lost the lock and does not know it yet.
// Stores such as etcd have tokens; directories of a file system have none.
func (l *DirLock) Token() (token uint64, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held == nil {
		return 0, false
	}
	return fsys.Token(l.held.file)
}

// enterWith is enter for a call that ends when ctx is done.
func (l *DirLock) enterWith(ctx context.Context) (visit, error) {
	v, err := l.enter()
	if err == nil && ctx.Done() != nil {
		v.dir = fsys.WithContext(ctx, v.dir)
	}
	return v, err
}

// awaitEnd reports the loss when the lease ends, even if the store cannot be
// reached.
func (g *guard) awaitEnd() {
	select {
	case <-fsys.EndOf(g.h.file):
		g.holds()
	case <-g.ctx.Done():
	}
}

// watchTurn watches what is in the way. In a store it is a queue, for those that want
// the lock.
func (w *waiter) watchTurn(v *visit, b look) (changed <-chan struct{}, stop func(), err error) {
	if b.row == rowLeased && !w.onlyLooks {
		changed, stop, err = fsys.Queue(v.dir, levelName(b.level))
		if w.queued = err == nil; w.queued || !errors.Is(err, errors.ErrUnsupported) {
			return changed, stop, err
		}
	}
	return v.watchFile(b)
}
