package lock

// What the tests of package lock_test see of the inside.

const (
	MaxAttempts = maxAttempts
	MaxRecord   = maxRecord
)

var (
	ErrTorn      = errTorn
	AppendRecord = appendRecord
	ParseRecord  = parseRecord
)

// SetMaxAttempts sets how often a TryLock starts again.
func SetMaxAttempts(l *DirLock, n int) { l.maxAttempts = n }

// SetPause sets what waits between two attempts.
func SetPause(l *DirLock, p pauseFunc) { l.pause = p }

// SetExplored sets what an explorer of interleavings sets otherwise: the bound
// on attempts, how to pause between them, and whether TryLock creates L0 before
// it looks, or not.
func SetExplored(l *DirLock, attempts int, p pauseFunc, eager bool) {
	l.expectFree = func(*DirLock) bool { return eager }
	SetMaxAttempts(l, attempts)
	SetPause(l, p)
}
