package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dirlock/dirlock/lock"
)

// work is a command that runs under the lock.
type work struct {
	*runFlags
	lock    *lock.DirLock
	dir     string
	signals chan os.Signal

	cmd      *exec.Cmd
	relay    *relay
	brood    *brood
	asked    bool // a signal that asks to end came while the command ran
	isLost   bool // the lock was lost, and the command was told to end
	saidLost bool
	ended    []int // what the command has left behind, and was told to end
}

// run runs a command, and releases the lock when it has ended.
func (w *work) run(command []string) error {
	err := w.command(command)
	unlockErr := w.unlock(w.lock)
	w.relay.stop()
	switch {
	case errors.Is(unlockErr, lock.ErrLost):
		w.sayLost(unlockErr)
		if err == nil || w.isLost || w.onLost != lostIgnore {
			err = exitError{code: exitLost}
		}
	case unlockErr != nil:
		complain(describe(unlockErr), "the lock is free now that dirlock ends")
	case w.verbose:
		complain("released the lock of "+w.dir, "")
	}
	return err
}

// runOnly runs a command without a lock of its own: it is part of a run that has
// the lock.
func (w *work) runOnly(command []string) error {
	w.close = true
	defer func() { w.relay.stop() }()
	return w.command(command)
}

// command runs the command to its end. The error is its exit status.
func (w *work) command(command []string) error {
	// A signal that came after the lock was acquired: do not even begin.
	for len(w.signals) > 0 {
		if s := <-w.signals; ends(s) {
			return exitError{code: exitSignal + signalNumber(s)}
		}
	}
	if err := w.start(command); err != nil {
		return err
	}
	defer w.brood.stop()
	err := w.wait()
	if w.cmd.ProcessState == nil {
		return err
	}
	if w.lingers() {
		w.waitForBrood()
	}
	if status := exitStatus(w.cmd.ProcessState); status != 0 {
		return exitError{code: status}
	}
	return nil
}

// start starts the command. It inherits what keeps the lock.
func (w *work) start(command []string) error {
	cmd := newCommand(command)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if w.lock != nil {
		cmd.Env = environment(w.lock, w.dir)
	}
	cmd.SysProcAttr = w.attr
	w.relay = newRelay()
	w.brood = newBrood(w.linger != lingerNever)
	keep := func() {}
	if !w.close {
		var err error
		if keep, err = bequeath(w.lock, cmd); err != nil {
			return err
		}
	}
	cmd, err := startAsShellDoes(cmd)
	keep()
	w.brood.started()
	if err != nil {
		return cannotRun(command, err)
	}
	w.cmd = cmd
	w.relay.begin()
	w.relay.targets = func() []int { return []int{cmd.Process.Pid} }
	return nil
}

// environment is that of a command.
func environment(l *lock.DirLock, dir string) []string {
	owner, _ := l.Owner()
	env := os.Environ()
	if token, ok := l.Token(); ok {
		env = append(env, envToken+"="+strconv.FormatUint(token, 10))
	}
	return append(env,
		envDir+"="+dir,
		envOwner+"="+owner.ID,
		envOwners+"="+strings.TrimSpace(os.Getenv(envOwners)+" "+owner.ID))
}

// watchAfter is when dirlock begins to watch the lock, the children that are not
// its own, and rare signals. A short command is over by then, and it would take
// twice as long otherwise; Unlock finds a loss, too.
const watchAfter = 200 * time.Millisecond

// wait returns when the command has ended.
func (w *work) wait() error {
	done := make(chan error, 1)
	go func() { done <- w.cmd.Wait() }()
	var lost <-chan struct{}
	begin := time.NewTimer(watchAfter)
	defer begin.Stop()
	for {
		select {
		case s := <-w.signals:
			w.asked = w.asked || asksToEnd(s)
			w.relay.take(s)
		case <-w.relay.due.C:
			w.relay.pass()
		case <-w.brood.changed:
			w.brood.reap(w.cmd.Process.Pid, w.relay.decoyPID())
		case <-begin.C:
			catchRareSignals(w.signals)
			w.brood.watch()
			w.brood.reap(w.cmd.Process.Pid, w.relay.decoyPID()) // what ended before
			if w.lock != nil {
				lost = w.lock.Lost()
			}
		case <-lost:
			lost = nil
			w.lost(w.lock.Check())
		case err := <-done:
			return err
		}
	}
}

// lost acts on a lost lock.
func (w *work) lost(err error) {
	if err == nil { // it does not hold the lock
		return
	}
	w.sayLost(err)
	if w.onLost == lostIgnore {
		return
	}
	w.isLost = true
	w.end(w.cmd.Process)
}

// end ends a process because the lock is lost.
func (w *work) end(p *os.Process) {
	if w.onLost == lostKill {
		_ = p.Kill()
	} else {
		_ = terminate(p)
	}
}

// endBrood does the same to what the command has left behind.
func (w *work) endBrood(pids []int) {
	for _, pid := range pids {
		if p, err := os.FindProcess(pid); err == nil && !slices.Contains(w.ended, pid) {
			w.ended = append(w.ended, pid)
			w.end(p)
		}
	}
}

func (w *work) sayLost(err error) {
	if w.saidLost {
		return
	}
	w.saidLost = true
	if theStore.remote() {
		complain(describe(err), "another command may run at the same time, unless what it works on checks DIRLOCK_TOKEN")
		return
	}
	complain(describe(err), "another command may run at the same time; was the file "+theName.levelFile(0)+" removed by git clean, rsync --delete or the like? see \"dirlock help data\"")
}

// lingers tells whether the lock is to be held for what the command has left
// behind.
func (w *work) lingers() bool {
	switch {
	case w.close || w.linger == lingerNever:
		return false
	case w.linger == lingerAlways:
		return true
	}
	return w.isLost || w.asked || wasKilled(w.cmd.ProcessState)
}

// waitForBrood returns when the processes have ended that the command has
// started.
func (w *work) waitForBrood() {
	w.brood.watch()
	tick := time.NewTicker(time.Second) // for what is not noticed otherwise
	defer tick.Stop()
	said := false
	for {
		pids, any := w.brood.left(w.relay.decoyPID())
		if !any {
			return
		}
		text := "the command has ended, but processes that it started have not"
		if w.isLost {
			w.endBrood(pids)
		} else {
			text += ": the lock of " + w.dir + " is held until they have"
		}
		if !said && !w.quiet {
			said = true
			complain(text, hintForBrood(pids))
		}
		w.relay.targets = func() []int { return pids }
		select {
		case s := <-w.signals:
			w.relay.take(s)
		case <-w.relay.due.C:
			w.relay.pass()
		case <-w.brood.changed:
		case <-tick.C:
		}
	}
}

// hintForBrood says how to end processes.
func hintForBrood(pids []int) string {
	if len(pids) == 0 {
		return ""
	}
	hint := "end them with: kill"
	for _, pid := range pids[:min(len(pids), 10)] {
		hint += fmt.Sprintf(" %d", pid)
	}
	return hint
}

// newCommand finds the command.
func newCommand(command []string) *exec.Cmd {
	cmd := exec.Command(command[0], command[1:]...)
	if errors.Is(cmd.Err, exec.ErrDot) {
		cmd.Err = nil // the user's PATH says so
	}
	return cmd
}

// startAsShellDoes starts a command. What the system does not know how to
// execute, a script without a #! line, is for the shell, as with nohup(1) and
// flock(1).
func startAsShellDoes(cmd *exec.Cmd) (*exec.Cmd, error) {
	err := cmd.Start()
	if !errors.Is(err, errNotProgram) || !isText(cmd.Path) {
		return cmd, err
	}
	script := exec.Command("/bin/sh", append([]string{cmd.Path}, cmd.Args[1:]...)...)
	script.Stdin, script.Stdout, script.Stderr = cmd.Stdin, cmd.Stdout, cmd.Stderr
	script.Env, script.SysProcAttr = cmd.Env, cmd.SysProcAttr
	return script, script.Start()
}

// isText tells whether a file looks like a script, and not like a program of
// another system.
func isText(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	b := make([]byte, 128)
	n, err := f.Read(b)
	return (err == nil || errors.Is(err, io.EOF)) && !bytes.Contains(b[:n], []byte{0})
}

// cannotRun explains why a command did not start.
func cannotRun(command []string, err error) error {
	name := command[0]
	if name == "" || errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		return exitError{exitNotFound, fmt.Sprintf("run %s: command not found", name), notFoundHint(command)}
	}
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	var look *exec.Error
	if errors.As(err, &look) {
		err = look.Err
	}
	info, statErr := os.Stat(name)
	hint := "is it an executable file?"
	switch {
	case statErr == nil && info.IsDir():
		err, hint = errors.New("is a directory"), "give a command after the directory: dirlock run DIR -- COMMAND"
	case errors.Is(err, fs.ErrPermission) && statErr == nil:
		hint = "make it executable with chmod +x, or give its interpreter: sh " + name
	case errors.Is(err, errNotProgram):
		hint = "it is a program of another system, or damaged"
	case errors.Is(err, errTooManyFiles):
		hint = "raise the limit of open files (ulimit -n), or close some"
	case errors.Is(err, errTryAgain):
		hint = "there are too many processes: raise the limit (ulimit -u), or end some"
	case errors.Is(err, errTooLong):
		hint = "give it fewer arguments: use xargs(1)"
	}
	return exitError{exitCannotRun, fmt.Sprintf("run %s: %v", name, err), hint}
}
