package lock

import (
	"context"
	"time"

	"github.com/dirlock/dirlock/fsys"
)

// OnlyEvents makes a waiting Lock that has an event to wait for wait for
// nothing else: no timer helps if the event does not come.
func OnlyEvents(l *DirLock) {
	l.pause = func(ctx context.Context, d time.Duration, changed, ended <-chan struct{}) error {
		if changed == nil && ended == nil {
			return pause(ctx, d, changed, ended)
		}
		select {
		case <-ctx.Done():
		case <-changed:
		case <-ended:
		}
		return ctx.Err()
	}
	l.lineBeat = 0
}

// NoLine makes a waiting Lock wait as it does where there are no lines.
func NoLine(l *DirLock) { l.noLine = true }

// InLine waits in line as a Lock does.
func InLine(l *DirLock, await func(p fsys.Spot, wait func(fsys.Spot) error) error) {
	wait := l.await
	l.await = func(p fsys.Spot) error { return await(p, wait) }
}

// BeforePause calls f each time that a Lock goes to sleep.
func BeforePause(l *DirLock, f func(d time.Duration)) {
	sleep := l.pause
	l.pause = func(ctx context.Context, d time.Duration, changed, ended <-chan struct{}) error {
		f(d)
		return sleep(ctx, d, changed, ended)
	}
	InLine(l, func(p fsys.Spot, wait func(fsys.Spot) error) error {
		f(0)
		return wait(p)
	})
}

// SafetyBeat is the longest time between two looks of a waiter that has events.
const SafetyBeat = safetyBeat

// Queues returns for how many directories goroutines of this process wait.
func Queues() int {
	queues.Lock()
	defer queues.Unlock()
	return len(queues.of)
}
