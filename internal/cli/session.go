package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/dirlock/dirlock/lock"
	"github.com/dirlock/dirlock/proc"
)

// "dirlock lock" ends long before the lock does. So it takes the lock in the name
// of another process, its parent as a rule, and leaves a keeper behind: a process
// that has the open lock file, and with it the kernel's locks on it, and that ends
// when the owner does. (A record without a kernel witness would do without a
// keeper. But in another PID namespace nobody could tell then whether the owner
// is dead, and a container that is killed would leave a lock that stays.)

func newLock() *cobra.Command {
	f := runFlags{conflict: exitConflict}
	var pid int
	cmd := &cobra.Command{
		Use:   "lock [flags] DIR",
		Short: "Acquire the lock of a directory for the calling shell",
		Long: `Acquire the lock of DIR for the process that calls dirlock, or for process N of
--pid. It holds the lock until "dirlock unlock DIR", or until it ends, even by
kill -9: for a part of a script.

The owner is the process that has started dirlock. In a subshell, as in ( ... ),
$( ... ) or a pipeline, that is the subshell: to lock for the whole script, use
--pid $$. A script that the owner starts does not own the lock: it can neither
unlock it nor lock it again.

The exit status is 0 if the lock was acquired, 1 (or what -E says) if somebody
else holds it; see "dirlock help exit-status" for others.

A process named "dirlock --keeper" stays in the background as long as the lock
is held: do not kill it.`,
		Example: `  #!/bin/sh
  dirlock lock -w 60 /srv/repo || exit
  git -C /srv/repo gc
  dirlock unlock /srv/repo`,
		Args:              takes(1, 1),
		ValidArgsFunction: completeDirs,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case f.nonblock && f.wait.set && f.wait.d > 0:
				return usageError{errors.New("both -n and -w given"), cmd.CommandPath(), "-n does not wait; -w waits for a time: leave out one"}
			}
			owner, err := identify(pid)
			if err != nil {
				return err
			}
			return f.lockFor(owner, args[0])
		},
	}
	flags := cmd.Flags()
	addName(flags)
	flags.BoolVarP(&f.nonblock, "nonblock", "n", false, "do not wait if the lock is held")
	flags.VarP(&f.wait, "wait", "w", "wait for `DURATION` at most: seconds like 2.5, or like 1m30s; 0 is -n")
	flags.VarP(&f.conflict, "conflict-exit-code", "E", "exit status `N` if the lock is held")
	flags.BoolVar(&f.mkdir, "mkdir", false, "create DIR, and its parents, if it is missing")
	flags.BoolVarP(&f.quiet, "quiet", "q", false, "do not say that the lock is held, or waited for")
	addLabel(flags, &f)
	flags.IntVar(&pid, "pid", 0, "lock for process `N`, instead of the calling one")
	return cmd
}

func newUnlock() *cobra.Command {
	var pid int
	cmd := &cobra.Command{
		Use:   "unlock [flags] DIR",
		Short: "Release the lock that \"dirlock lock\" has acquired",
		Long: `Release the lock of DIR, if the process that calls dirlock, or process N of --pid,
holds it. If it does not, nothing happens, and the exit status is 1.`,
		Example: `  dirlock lock /srv/repo && git -C /srv/repo gc
  dirlock unlock /srv/repo`,
		Args:              takes(1, 1),
		ValidArgsFunction: completeDirs,
		RunE: func(cmd *cobra.Command, args []string) error {
			owner, err := identify(pid)
			if err != nil {
				return err
			}
			return unlockFor(cmd.Context(), owner, args[0])
		},
	}
	addName(cmd.Flags())
	cmd.Flags().IntVar(&pid, "pid", 0, "release the lock of process `N`, instead of the calling one")
	return cmd
}

// identify returns the process that a lock is for: the caller if pid is 0.
func identify(pid int) (proc.Identity, error) {
	if !keepers {
		return proc.Identity{}, exitError{exitUnsupported, "no lock for another process on this system", `use "dirlock run"`}
	}
	if pid == 0 {
		pid = os.Getppid()
	}
	id, err := proc.Identify(pid)
	if errors.Is(err, fs.ErrNotExist) {
		return id, exitError{exitUsage, fmt.Sprintf("--pid %d: there is no such process", pid), "give the process that is to hold the lock, as in --pid $$"}
	}
	return id, err
}

// lockFor acquires the lock for an owner.
func (f *runFlags) lockFor(owner proc.Identity, dir string) error {
	signals := catchSignals()
	if f.mkdir {
		if err := mkdir(dir); err != nil {
			return err
		}
	}
	path, err := resolve(dir)
	if err != nil {
		return err
	}
	l := newLockOf(path, lock.WithProcesses(stranger{proc.OS(), owner}),
		lock.WithCommand(sessionName+nameOf(owner.PID)), lock.WithLabel(f.label), lock.WithUser(userOf(owner.PID)))
	if s, err := l.Status(); err == nil {
		if level, ok := s.Owner(); ok && isOwner(level.Owner, owner) && level.State != proc.Dead {
			return exitError{exitNested, fmt.Sprintf("%s is locked already, for this very process %d", path, owner.PID), `to release it, use "dirlock unlock"`}
		}
	}
	if err := f.acquire(l, signals); err != nil {
		return f.explainMissing(dir, err)
	}
	if err := leaveKeeper(l, path); err != nil {
		return errors.Join(err, l.Unlock())
	}
	return nil // without an Unlock
}

// unlockFor releases the lock of an owner.
func unlockFor(ctx context.Context, owner proc.Identity, dir string) error {
	l := newLockOf(dir)
	s, err := l.Status()
	if err != nil {
		return err
	}
	level, ok := s.Owner()
	switch {
	case !ok:
		return exitError{exitConflict, s.Dir + " is not locked", "the lock was released already, or lost"}
	case level.Err != nil:
		return level.Err
	case !isOwner(level.Owner, owner):
		return exitError{
			exitConflict, fmt.Sprintf("%s is held by %s, and not by process %d", s.Dir, who(level.Owner), owner.PID),
			"only the process that holds the lock can release it; in a subshell, use --pid $$",
		}
	}
	// The owner is the one who asks, so that nobody else unlocks meanwhile.
	return l.ForceBreak(ctx, level.Owner.ID)
}

// isOwner tells whether a record is of a process.
func isOwner(o lock.Owner, id proc.Identity) bool {
	return o.PID == id.PID && o.Boot == id.Boot && o.Namespace == id.Namespace && o.Start == id.Start
}

// stranger is a process table in which this process is another one.
type stranger struct {
	proc.Table
	id proc.Identity
}

func (s stranger) Self() (proc.Identity, error) { return s.id, nil }

func (s stranger) Notify(id proc.Identity) (<-chan struct{}, func(), error) {
	return proc.Notify(s.Table, id)
}

// nameOf returns the name of a process, for people.
func nameOf(pid int) string {
	argv := arguments(pid)
	if len(argv) == 0 {
		return "session"
	}
	if name := commandName(argv); name != filepath.Base(os.Args[0]) {
		return name
	}
	return filepath.Base(argv[0]) // of which the line begins with this command
}
