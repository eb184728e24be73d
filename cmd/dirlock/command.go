package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"strings"

	"github.com/dirlock/dirlock/lock"
)

// child runs the command, and releases the lock when it has ended.
func (f *runFlags) child(l *lock.DirLock, dir string, command []string, signals <-chan os.Signal) error {
	err := f.command(l, dir, command, signals)
	unlockErr := l.Unlock()
	switch {
	case errors.Is(unlockErr, lock.ErrLost):
		complain(unlockErr.Error(), "another command may have run at the same time; keep other programs away from the files L0, L1 and so on")
		if err == nil {
			err = exitError{code: exitLost}
		}
	case unlockErr != nil:
		complain(unlockErr.Error(), "the lock is free now that dirlock ends")
	case f.verbose:
		complain("released the lock of "+dir, "")
	}
	return err
}

// command runs the command to its end. The error is its exit status.
func (f *runFlags) command(l *lock.DirLock, dir string, command []string, signals <-chan os.Signal) error {
	// A signal that came after the lock was acquired: do not even begin.
	for len(signals) > 0 {
		if s := <-signals; ends(s) {
			return exitError{code: exitSignal + signalNumber(s)}
		}
	}
	owner, _ := l.Owner()
	cmd := newCommand(command)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(),
		envDir+"="+dir,
		envOwner+"="+owner.ID,
		envOwners+"="+strings.TrimSpace(os.Getenv(envOwners)+" "+owner.ID))
	cmd.SysProcAttr = f.attr
	relay := newRelay()
	defer relay.stop()
	cmd, err := startAsShellDoes(cmd)
	if err != nil {
		return cannotRun(command, err)
	}
	relay.command = cmd.Process.Pid
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	for {
		select {
		case s := <-signals:
			relay.take(s)
		case <-relay.due.C:
			relay.pass()
		case err := <-done:
			if cmd.ProcessState == nil {
				return err
			}
			if status := exitStatus(cmd.ProcessState); status != 0 {
				return exitError{code: status}
			}
			return nil
		}
	}
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
