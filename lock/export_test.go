package lock

import (
	"context"
	"time"
)

// SetExplored sets what an explorer of interleavings sets otherwise: the bound
// on attempts, and how to pause between them.
func SetExplored(l *DirLock, attempts int, pause func(context.Context, time.Duration, <-chan struct{}, <-chan struct{}) error) {
	l.maxAttempts, l.pause = attempts, pause
}
