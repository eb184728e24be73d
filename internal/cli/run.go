package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/dirlock/dirlock/lock"
)

// What the child finds in its environment.
const (
	envDir    = "DIRLOCK_DIR"    // the resolved path of the directory
	envOwner  = "DIRLOCK_OWNER"  // the ID of the owner of its lock
	envToken  = "DIRLOCK_TOKEN"  // the fencing token, if there is one
	envFD     = "DIRLOCK_FD"     // the descriptor that keeps the lock
	envOwners = "DIRLOCK_OWNERS" // the same of all enclosing runs, outermost first
)

type runFlags struct {
	nonblock  bool
	wait      waitTime
	conflict  exitCode
	mkdir     bool
	line      shellLine
	killChild bool
	shared    bool
	noFork    bool
	nested    bool
	canNest   bool // there is a flag --nested
	close     bool
	linger    linger
	onLost    onLost
	verbose   bool
	quiet     bool
	label     string

	attr *syscall.SysProcAttr // of the child
}

func newRun() *cobra.Command {
	f := runFlags{conflict: exitConflict, canNest: true, linger: lingerAuto, onLost: lostTerm}
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

The lock is held as long as COMMAND lives, even if dirlock is killed. It is not
held for a daemon that COMMAND leaves behind, unless a signal has ended COMMAND;
see --linger, --close, and "dirlock help signals".

Flags may stand before or after DIR, but not after COMMAND. COMMAND finds
DIRLOCK_DIR and others in its environment, see "dirlock help environment". A run
that would wait for the one that it was started by is refused.`,
		Example: `  # Wait for the lock as long as it takes.
  dirlock run /var/lib/backup -- backup.sh --full

  # From cron: skip this time if the last run is not over.
  dirlock run -n -q -E 75 /var/lib/backup -- backup.sh

  # Wait for a minute and a half at most. Seconds work, too: -w 90.
  dirlock run -w 1m30s /srv/repo -- git gc

  # A line of shell, and a directory that need not exist.
  dirlock run --mkdir /tmp/build.lock -c 'make clean && make'`,
		Args:              takes(1, -1),
		ValidArgsFunction: completeRun,
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := args[0]
			// Flags may follow DIR, too.
			if err := cmd.Flags().Parse(args[1:]); err != nil {
				return cmd.FlagErrorFunc()(cmd, err)
			}
			if help, _ := cmd.Flags().GetBool("help"); help {
				return cmd.Help()
			}
			command, err := f.check(cmd, dir, cmd.Flags().Args())
			if err != nil {
				return err
			}
			return f.run(dir, command)
		},
	}
	flags := cmd.Flags()
	flags.SetInterspersed(false)
	addName(flags)
	flags.BoolVarP(&f.nonblock, "nonblock", "n", false, "do not wait if the lock is held")
	flags.VarP(&f.wait, "wait", "w", "wait for `DURATION` at most: seconds like 2.5, or like 1m30s; 0 is -n")
	flags.VarP(&f.conflict, "conflict-exit-code", "E", "exit status `N` if the lock is held")
	flags.BoolVar(&f.mkdir, "mkdir", false, "create DIR, and its parents, if it is missing")
	flags.VarP(&f.line, "command", "c", "run the shell line `STRING` with sh -c, instead of COMMAND")
	flags.BoolVar(&f.killChild, "kill-child", false, "have the system kill COMMAND if dirlock dies (Linux, FreeBSD)")
	flags.BoolVarP(&f.verbose, "verbose", "v", false, "say when the lock is acquired, how long that took, and when it is released")
	flags.BoolVarP(&f.quiet, "quiet", "q", false, "do not say that the lock is held, or waited for")
	addLabel(flags, &f)
	flags.BoolVarP(&f.close, "close", "o", false, "do not let COMMAND inherit the lock: it ends with dirlock")
	flags.Var(&f.linger, "linger", "hold the lock for processes that COMMAND leaves behind: auto, always or never")
	flags.Var(&f.onLost, "on-lost", "what to do if the lock is lost: term or kill COMMAND, or ignore it")
	flags.BoolVarP(&f.shared, "shared", "s", false, "share the lock with other commands that do; see \"dirlock help shared\"")
	flags.BoolVar(&f.nested, "nested", false, "if this command runs under the lock of DIR already, just run COMMAND")
	flags.BoolVarP(&f.noFork, "no-fork", "F", false, "let COMMAND take the place of dirlock, as exec(1) does")
	flockFlags(flags, &f)
	return cmd
}

// addLabel adds the flag --label.
func addLabel(flags *pflag.FlagSet, f *runFlags) {
	flags.StringVar(&f.label, "label", "", "tell people by `TEXT` what the lock is held for")
}

// flockFlags adds flags of flock(1) that mean nothing new here.
func flockFlags(flags *pflag.FlagSet, f *runFlags) {
	flags.Var(&f.wait, "timeout", "the same as --wait")
	flags.BoolVar(&f.nonblock, "nb", false, "the same as -n")
	flags.BoolVar(&f.nonblock, "nonblocking", false, "the same as -n")
	flags.BoolP("exclusive", "x", true, "what every lock is without -s")
	flags.BoolP("e", "e", true, "the same as -x")
	for _, name := range []string{"timeout", "nb", "nonblocking", "exclusive", "e"} {
		flags.Lookup(name).Hidden = true
	}
}

// check looks for contradictions in the command line, and returns the command
// to run.
func (f *runFlags) check(cmd *cobra.Command, dir string, command []string) ([]string, error) {
	// As flock(1) has it: no command has this name.
	if len(command) == 2 && command[0] == "-c" && !f.line.set {
		f.line, command = shellLine{command[1], true}, nil
	}
	usage := func(text, hint string) ([]string, error) {
		return nil, usageError{errors.New(text), cmd.CommandPath(), hint}
	}
	switch {
	case f.shared && cmd.Flags().Changed("exclusive"), f.shared && cmd.Flags().Changed("e"):
		return usage("both -s and -x given", "leave out one")
	case f.line.set && len(command) > 0:
		return usage(fmt.Sprintf("both -c and the command %q given", command[0]), "put the command into the line of -c")
	case !f.line.set && len(command) == 0:
		return nil, noCommand(dir)
	case f.nonblock && f.wait.set && f.wait.d > 0:
		return usage("both -n and -w given", "-n does not wait; -w waits for a time: leave out one")
	case f.noFork && theStore.remote():
		return usage("-F: nobody would renew the lock", "leave out -F: the lock is held as long as "+theStore.Program+" runs")
	case f.noFork && f.killChild:
		return usage("both -F and --kill-child given", "with -F, dirlock is not there any more when COMMAND runs: leave out one")
	case f.noFork && f.close:
		return usage("both -F and -o given", "with -F, COMMAND has to have the lock itself: leave out one")
	case f.verbose && f.quiet:
		return usage("both -v and -q given", "leave out one")
	}
	if f.line.set {
		command = shell(f.line.line)
	}
	return command, nil
}

// run does it all.
func (f *runFlags) run(dir string, command []string) error {
	signals := catchSignals()
	if f.killChild {
		var err error
		if f.attr, err = killWithParent(); err != nil {
			return exitError{exitUnsupported, fmt.Sprintf("--kill-child: %v", err), "run without it"}
		}
	}
	if f.mkdir {
		if err := mkdir(dir); err != nil {
			return err
		}
	}
	// A symbolic link may be changed while we wait: what the command is told is
	// what was locked.
	path, err := resolve(dir)
	if err != nil {
		return err
	}
	l := newLockOf(path, append(f.within(path), lock.WithCommand(runName+commandName(command)), lock.WithLabel(f.label))...)
	start := time.Now()
	if err := f.acquire(l, signals); err != nil {
		if f.nested && errors.As(err, &nestedError{}) {
			return (&work{runFlags: f, signals: signals}).runOnly(command)
		}
		return f.explainMissing(dir, err)
	}
	if f.verbose {
		complain(fmt.Sprintf("acquired the lock of %s after %s", path, roughly(time.Since(start))), "")
	}
	if f.noFork {
		err := become(l, path, command)
		return errors.Join(err, f.unlock(l))
	}
	w := work{runFlags: f, lock: l, dir: path, signals: signals}
	return w.run(command)
}

// explainMissing says more of a directory that is missing.
func (f *runFlags) explainMissing(dir string, err error) error {
	if theStore.remote() {
		return err
	}
	if _, statErr := os.Stat(dir); errors.Is(statErr, fs.ErrNotExist) {
		return exitError{exitNoDir, describe(err), noDirHint(dir)}
	}
	return err
}
