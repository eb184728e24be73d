//go:build !linux

package etcdfs

import (
	"sync"
	"time"
)

// sinceBoot is a clock that runs while the machine sleeps. The monotonic clock of Go
// may stand still then; the time of day does not, but can be set back. Whichever has
// advanced more counts: too much of it ends a lease too early, which costs nobody
// the lock.
func sinceBoot() time.Duration {
	passed.Lock()
	defer passed.Unlock()
	now := time.Now()
	if !passed.last.IsZero() {
		passed.total += max(now.Sub(passed.last), now.Round(0).Sub(passed.last.Round(0)), 0)
	}
	passed.last = now
	return passed.total
}

var passed struct {
	sync.Mutex
	last  time.Time
	total time.Duration
}
