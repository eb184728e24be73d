package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/dirlock/dirlock/fsys/osfs"
	"github.com/dirlock/dirlock/lock"
)

// resolve returns an absolute path of a directory, without symbolic links if
// there is one: what /proc/PID/root is a link to leads elsewhere.
func resolve(dir string) (string, error) {
	d, err := osfs.New().Dir(dir)
	if err != nil {
		return "", err
	}
	path := d.Path()
	if real, err := filepath.EvalSymlinks(path); err == nil {
		here, err1 := os.Stat(path)
		there, err2 := os.Stat(real)
		if err1 == nil && err2 == nil && os.SameFile(here, there) {
			return real, nil
		}
	}
	return path, nil
}

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
