package lock

import (
	"sync/atomic"
	"time"
)

// What the tests of package lock_test see of the inside.

const (
	MaxAttempts = maxAttempts
	MaxRecord   = maxRecord
	MaxGap      = maxGap
)

var (
	ErrTorn      = errTorn
	AppendRecord = appendRecord
	ParseRecord  = parseRecord
)

// SetMaxAttempts sets how often a TryLock starts again.
func SetMaxAttempts(l *DirLock, n int) { l.maxAttempts = n }

// SetSince sets how time passes for the bounds on a climb.
func SetSince(l *DirLock, f func(time.Time) time.Duration) { l.since = f }

// SetMaxGap sets how many names in a row without a file end a search for level
// files.
func SetMaxGap(l *DirLock, n int) { l.maxGap = n }

// SetPause sets what waits between two attempts.
func SetPause(l *DirLock, p pauseFunc) { l.pause = p }

// SetExplored sets what an explorer of interleavings sets otherwise: the bound
// on attempts, how to pause between them, whether TryLock creates L0 before it
// looks, a shorter gap that ends a search for level files, and the IDs that the
// process holds.
func SetExplored(l *DirLock, attempts int, p pauseFunc, expectFree bool, holds func(id string) bool) {
	l.hooks = hooks{
		maxAttempts: attempts, maxGap: 4, pause: p, expectFree: func(*DirLock) bool { return expectFree }, holdsID: holds,
		since: func(time.Time) time.Duration { return 0 }, inUse: new(atomic.Int32),
	}
}

// SetWithoutNotes makes a handle behave like the versions that knew no notes of
// deaths.
func SetWithoutNotes(l *DirLock) { l.withoutNotes = true }

// Tidies tells whether the next Unlock or RUnlock lists the directory, for what the
// dead have left.
func Tidies(l *DirLock) bool {
	h := l.newest()
	return h != nil && h.recovered && !h.owner.Local
}

// Row returns which row of the truth table in docs/liveness.md decided the state
// of a level.
func Row(l Level) int { return l.row }

// CrowdBeat is the longest time between two looks of a waiter without events
// because others have them all.
const CrowdBeat = crowdBeat
