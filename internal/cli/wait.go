package cli

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/dirlock/dirlock/lock"
)

func newWait() *cobra.Command {
	var timeout waitTime
	var quiet, shared bool
	conflict := exitCode(exitConflict)
	cmd := &cobra.Command{
		Use:   "wait [flags] DIR",
		Short: "Wait until the lock of a directory is free",
		Long: `Wait until nobody holds the lock of DIR, or its holder is dead. The lock is not
taken, not even for a moment: others do not notice, and need not be able to
write to the directory. So somebody else may have the lock again by the time
that this command returns. To do something under the lock, use "dirlock run".

The exit status is 0 when the lock is free, 1 (or what -E says) when it is still
held after the time that -w allows; see "dirlock help exit-status" for others.`,
		Example: `  # Wait for a running backup, if there is one, and do not start another.
  dirlock wait /var/lib/backup

  # At most ten seconds.
  dirlock wait -w 10 /var/lib/backup || echo "still running"`,
		Args:              takes(1, 1),
		ValidArgsFunction: completeDirs,
		RunE: func(cmd *cobra.Command, args []string) error {
			return waitUntilFree(args[0], shared, timeout, int(conflict), quiet)
		},
	}
	flags := cmd.Flags()
	addName(flags)
	flags.VarP(&timeout, "wait", "w", "wait for `DURATION` at most: seconds like 2.5, or like 1m30s")
	flags.VarP(&conflict, "conflict-exit-code", "E", "exit status `N` if the lock is still held")
	flags.BoolVarP(&shared, "shared", "s", false, "wait until the lock can be shared, as \"dirlock run -s\" does")
	flags.BoolVarP(&quiet, "quiet", "q", false, "do not say that the lock is held, or waited for")
	return cmd
}

func waitUntilFree(dir string, shared bool, timeout waitTime, conflict int, quiet bool) error {
	signals := catchSignals()
	start := time.Now()
	l := newLockOf(dir)
	s, err := l.Status()
	if err != nil {
		return err
	}
	if st, level, held := stateFor(s, shared); !held {
		return freeOrError(st, level)
	}
	if err := (&runFlags{shared: shared}).refuseNested(l, "it is free when that has ended"); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if timeout.set {
		ctx, cancel = context.WithDeadline(ctx, start.Add(timeout.d))
		defer cancel()
	}
	if timeout.set && timeout.d == 0 {
		return stillHeld(s, shared, 0, conflict, quiet)
	}
	type answer struct {
		lock.Status
		err error
	}
	done := make(chan answer, 1)
	go func() {
		wait := l.WaitFree
		if shared {
			wait = l.RWaitFree
		}
		s, err := wait(ctx)
		done <- answer{s, err}
	}()
	w := newWaiting(os.Stderr, l.Status, start, quiet)
	defer w.stop()
	for {
		select {
		case a := <-done:
			w.stop()
			st, level, _ := stateFor(a.Status, shared)
			switch {
			case errors.Is(a.err, context.DeadlineExceeded):
				return stillHeld(a.Status, shared, timeout.d, conflict, quiet)
			case a.err != nil:
				return a.err
			}
			return freeOrError(st, level)
		case <-w.tick:
			w.show()
		case sig := <-signals:
			if ends(sig) {
				return exitError{code: exitSignal + signalNumber(sig)}
			}
			w.show()
		}
	}
}

// freeOrError is the end of the waiting: nobody can wait for an unreadable file.
func freeOrError(st lock.State, level lock.Level) error {
	if st == lock.Unreadable {
		return level.Err
	}
	return nil
}

// stillHeld is what ends dirlock if it has waited long enough, or is not to wait.
func stillHeld(s lock.Status, shared bool, waited time.Duration, conflict int, quiet bool) error {
	if quiet {
		return exitError{code: conflict}
	}
	text := summary(s, time.Now())
	if _, _, held := stateFor(s, shared); !held {
		text = printable(s.Dir) + " was held until just now" // or else we would have it
	}
	if waited > 0 {
		text += "; gave up after " + roughly(waited)
	}
	return exitError{code: conflict, text: text}
}
