package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/dirlock/dirlock/fsys/osfs"
	"github.com/dirlock/dirlock/lock"
	"github.com/dirlock/dirlock/proc"
)

// What the child finds in its environment.
const (
	envDir    = "DIRLOCK_DIR"    // the resolved path of the directory
	envOwner  = "DIRLOCK_OWNER"  // the ID of the owner of its lock
	envOwners = "DIRLOCK_OWNERS" // the same of all enclosing runs, outermost first
)

type runFlags struct {
	nonblock  bool
	wait      waitTime
	conflict  int
	mkdir     bool
	line      string
	killChild bool
	verbose   bool
	quiet     bool

	attr *syscall.SysProcAttr // of the child
}

func newRun() *cobra.Command {
	f := runFlags{conflict: exitConflict}
	cmd := &cobra.Command{
		Use:   "run [flags] DIR [--] COMMAND [ARG...]",
		Short: "Run a command while holding the lock of a directory",
		Long: `Acquire the lock of DIR, run COMMAND, and release the lock when COMMAND has
ended. If somebody else holds the lock, wait until it is free.

The exit status is that of COMMAND; or 128+N if signal N ended it. If the lock
is held and dirlock does not wait any longer, the exit status is 1, or what -E
says: 75 (EX_TEMPFAIL, "try again later") is a good choice for cron jobs, and
where COMMAND itself may exit with 1. See "dirlock help exit-status" for all of
them, and "dirlock help signals".

Flags may stand before or after DIR, but not after COMMAND. COMMAND inherits no
file descriptor of dirlock's own: a daemon that it leaves behind does not keep
the lock. It finds DIRLOCK_DIR and DIRLOCK_OWNER in its environment. A run that
would wait for the one that it was started by is refused.`,
		Example: `  # Wait for the lock as long as it takes.
  dirlock run /var/lib/backup -- backup.sh --full

  # From cron: skip this time if the last run is not over.
  dirlock run -n -q -E 75 /var/lib/backup -- backup.sh

  # Wait for a minute and a half at most. Seconds work, too: -w 90.
  dirlock run -w 1m30s /srv/repo -- git gc

  # A line of shell, and a directory that need not exist.
  dirlock run --mkdir /tmp/build.lock -c 'make clean && make'`,
		Args:              takes(1, -1),
		ValidArgsFunction: completeDirs,
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := args[0]
			// Flags may follow DIR, too.
			if err := cmd.Flags().Parse(args[1:]); err != nil {
				return cmd.FlagErrorFunc()(cmd, err)
			}
			if help, _ := cmd.Flags().GetBool("help"); help {
				return cmd.Help()
			}
			command, err := f.check(cmd, cmd.Flags().Args())
			if err != nil {
				return usageError{err, cmd.CommandPath()}
			}
			return f.run(dir, command)
		},
	}
	flags := cmd.Flags()
	flags.SetInterspersed(false)
	flags.BoolVarP(&f.nonblock, "nonblock", "n", false, "do not wait if the lock is held")
	flags.VarP(&f.wait, "wait", "w", "wait for `DURATION` at most: seconds like 2.5, or like 1m30s; 0 is -n")
	flags.IntVarP(&f.conflict, "conflict-exit-code", "E", f.conflict, "exit status `N` if the lock is held")
	flags.BoolVar(&f.mkdir, "mkdir", false, "create DIR, and its parents, if it is missing")
	flags.StringVarP(&f.line, "command", "c", "", "run the shell line `STRING` with sh -c, instead of COMMAND")
	flags.BoolVar(&f.killChild, "kill-child", false, "have the system kill COMMAND if dirlock dies (Linux, FreeBSD)")
	flags.BoolVarP(&f.verbose, "verbose", "v", false, "say when the lock is acquired, how long that took, and when it is released")
	flags.BoolVarP(&f.quiet, "quiet", "q", false, "do not say that the lock is held, or waited for")
	return cmd
}

// check looks for contradictions in the command line, and returns the command
// to run.
func (f *runFlags) check(cmd *cobra.Command, command []string) ([]string, error) {
	hasLine := cmd.Flags().Changed("command")
	switch {
	case hasLine && len(command) > 0:
		return nil, fmt.Errorf("both -c and the command %q given", command[0])
	case !hasLine && len(command) == 0:
		return nil, errors.New("no command given")
	case f.nonblock && f.wait.set && f.wait.d > 0:
		return nil, errors.New("both -n and -w given")
	case f.verbose && f.quiet:
		return nil, errors.New("both -v and -q given")
	}
	if err := checkStatus(f.conflict); err != nil {
		return nil, err
	}
	if hasLine {
		command = shell(f.line)
	}
	return command, nil
}

// run does it all.
func (f *runFlags) run(dir string, command []string) error {
	signals := catchSignals()
	if f.killChild {
		var err error
		if f.attr, err = killWithParent(); err != nil {
			return exitError{exitUnsupported, fmt.Sprintf("--kill-child: %v; run without it", err)}
		}
	}
	if f.mkdir {
		if err := os.MkdirAll(dir, 0o777); err != nil {
			return err
		}
	}
	// A symbolic link may be changed while we wait: what the command is told is
	// what was locked.
	path, err := resolve(dir)
	if err != nil {
		return err
	}
	l := lock.New(path, lock.WithProcesses(table{proc.OS(), "dirlock run " + filepath.Base(command[0])}))
	start := time.Now()
	if err := f.acquire(l, signals); err != nil {
		if _, statErr := os.Stat(dir); errors.Is(statErr, fs.ErrNotExist) {
			return exitError{exitNoDir, err.Error() + "; create the directory first, or use --mkdir"}
		}
		return err
	}
	if f.verbose {
		complain(fmt.Sprintf("acquired the lock of %s after %s", path, roughly(time.Since(start))))
	}
	return f.child(l, path, command, signals)
}

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
func (f *runFlags) acquire(l *lock.DirLock, signals <-chan os.Signal) error {
	start := time.Now()
	if ok, err := l.TryLock(); ok || err != nil {
		return err
	}
	if f.nonblock || f.wait.set && f.wait.d == 0 {
		return f.held(l, 0)
	}
	if err := f.refuseOwn(l); err != nil {
		return err
	}

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if f.wait.set {
		ctx, cancel = context.WithDeadline(ctx, start.Add(f.wait.d))
		defer cancel()
	}
	done := make(chan error, 1)
	go func() { done <- l.LockContext(ctx) }()

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
				_ = l.Unlock()
			}
			return exitError{exitSignal + signalNumber(s), ""}
		}
	}
}

// held is what ends dirlock if somebody else holds the lock.
func (f *runFlags) held(l *lock.DirLock, waited time.Duration) error {
	if f.quiet {
		return exitError{f.conflict, ""}
	}
	s, err := l.Status()
	if err != nil {
		return err
	}
	return stillHeld(s, waited, f.conflict, false)
}

// refuseOwn returns an error if the lock is held by a run that this one is part
// of. It would wait for ever.
func (f *runFlags) refuseOwn(l *lock.DirLock) error {
	outer := os.Getenv(envOwners) + " " + os.Getenv(envOwner)
	if outer == " " {
		return nil
	}
	s, err := l.Status()
	if err != nil {
		return err
	}
	owner, ok := s.Owner()
	if !ok || owner.Owner.ID == "" || owner.State == proc.Dead || !strings.Contains(outer, owner.Owner.ID) {
		return nil
	}
	return exitError{f.conflict, fmt.Sprintf(
		"this command runs under the lock of %s already, held by %s: it would wait for itself; do not lock twice", s.Dir, owner.Owner)}
}

// child runs the command, and releases the lock when it has ended.
func (f *runFlags) child(l *lock.DirLock, dir string, command []string, signals <-chan os.Signal) error {
	err := f.command(l, dir, command, signals)
	unlockErr := l.Unlock()
	switch {
	case errors.Is(unlockErr, lock.ErrLost):
		complain(unlockErr.Error() + "; another command may have run at the same time")
		if err == nil {
			err = exitError{exitLost, ""}
		}
	case unlockErr != nil:
		complain(unlockErr.Error() + "; the lock is free now that dirlock ends")
	case f.verbose:
		complain("released the lock of " + dir)
	}
	return err
}

// command runs the command to its end. The error is its exit status.
func (f *runFlags) command(l *lock.DirLock, dir string, command []string, signals <-chan os.Signal) error {
	// A signal that came after the lock was acquired: do not even begin.
	for len(signals) > 0 {
		if s := <-signals; ends(s) {
			return exitError{exitSignal + signalNumber(s), ""}
		}
	}
	owner, _ := l.Owner()
	cmd := exec.Command(command[0], command[1:]...)
	if errors.Is(cmd.Err, exec.ErrDot) {
		cmd.Err = nil // the user's PATH says so
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(),
		envDir+"="+dir,
		envOwner+"="+owner.ID,
		envOwners+"="+strings.TrimSpace(os.Getenv(envOwners)+" "+owner.ID))
	cmd.SysProcAttr = f.attr
	if err := cmd.Start(); err != nil {
		return cannotRun(command[0], err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	for {
		select {
		case s := <-signals:
			forward(cmd.Process, s)
		case err := <-done:
			if cmd.ProcessState == nil {
				return err
			}
			if status := exitStatus(cmd.ProcessState); status != 0 {
				return exitError{status, ""}
			}
			return nil
		}
	}
}

// cannotRun explains why a command did not start.
func cannotRun(name string, err error) error {
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		return exitError{exitNotFound, fmt.Sprintf("run %s: command not found; check its name and PATH", name)}
	}
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	var look *exec.Error
	if errors.As(err, &look) {
		err = look.Err
	}
	return exitError{exitCannotRun, fmt.Sprintf("run %s: %v; is it an executable file?", name, err)}
}

// table is the system's process table. Its processes go by another name: what
// dirlock runs tells people more than "dirlock".
type table struct {
	proc.Table
	command string
}

func (t table) Self() (proc.Identity, error) {
	id, err := t.Table.Self()
	id.Command = t.command
	return id, err
}

func (t table) Notify(id proc.Identity) (<-chan struct{}, func(), error) {
	return proc.Notify(t.Table, id)
}

// waitTime is the value of --wait.
type waitTime struct {
	d   time.Duration
	set bool
}

// Set takes seconds, with or without a fraction, or a duration in Go's form.
func (w *waitTime) Set(s string) error {
	seconds, err := strconv.ParseFloat(s, 64)
	d := time.Duration(seconds * float64(time.Second))
	if err != nil {
		d, err = time.ParseDuration(s)
	}
	if err != nil || !(seconds < 1e9) || d < 0 {
		return errors.New("not a duration like 2.5 (seconds) or 1m30s")
	}
	w.d, w.set = d, true
	return nil
}

func (w *waitTime) String() string {
	if !w.set {
		return ""
	}
	return w.d.String()
}

func (w *waitTime) Type() string { return "duration" }
