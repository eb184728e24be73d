package cli

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/dirlock/dirlock/lock"
)

// acquire returns when it holds the lock. It waits as long as the flags say, or
// until a signal comes.
func (f *runFlags) acquire(l *lock.DirLock, signals chan os.Signal) error {
	start := time.Now()
	if ok, err := f.tryLock(l); ok || err != nil {
		return err
	}
	hint := "do not lock twice"
	if f.canNest {
		hint += ", or use --nested"
	}
	if err := f.refuseNested(l, hint); err != nil {
		return err
	}
	if f.nonblock || f.wait.set && f.wait.d == 0 {
		return f.held(l, 0)
	}

	catchRareSignals(signals)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if f.wait.set {
		ctx, cancel = context.WithDeadline(ctx, start.Add(f.wait.d))
		defer cancel()
	}
	done := make(chan error, 1)
	go func() { done <- f.lockContext(ctx, l) }()

	w := newWaiting(os.Stderr, l.Status, start, f.quiet)
	defer w.stop()
	for {
		select {
		case err := <-done:
			w.stop()
			if errors.Is(err, context.DeadlineExceeded) {
				return f.held(l, f.wait.d)
			}
			return err
		case <-w.tick:
			w.show()
		case s := <-signals:
			if !ends(s) {
				w.show() // the window has another width
				continue
			}
			cancel()
			if <-done == nil {
				_ = f.unlock(l)
			}
			return exitError{code: exitSignal + signalNumber(s)}
		}
	}
}

// held is what ends dirlock if somebody else holds the lock.
func (f *runFlags) held(l *lock.DirLock, waited time.Duration) error {
	if f.quiet {
		return exitError{code: int(f.conflict)}
	}
	s, err := l.Status()
	if err != nil {
		return err
	}
	return stillHeld(s, f.shared, waited, int(f.conflict), false)
}
