//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// catchSignals returns a channel that receives the signals that the child is to
// get. Those that were ignored when dirlock was started stay so, for the child
// too: nohup(1) works.
//
// SIGTSTP and SIGCONT are left alone: the terminal sends the first one to the
// child as well, and the shell the other. Who stops dirlock alone stops nothing
// else, and the lock stays held.
func catchSignals() <-chan os.Signal {
	c := make(chan os.Signal, 16)
	// A closed standard error must not end dirlock while the child runs.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	for _, s := range []os.Signal{
		syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT,
		syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGWINCH,
	} {
		if !signal.Ignored(s) {
			signal.Notify(c, s)
		}
	}
	return c
}

// ends tells whether a signal ends dirlock while it waits.
func ends(s os.Signal) bool { return s != syscall.SIGWINCH }

// forward passes a signal on to the child, unless the terminal has done so: a
// key like Ctrl-C sends a signal to every process of the terminal's foreground
// process group, and many programs take a second one for impatience. What the
// signal came from cannot be known. So while dirlock is in that group, SIGINT
// and SIGQUIT are taken for the terminal's.
func forward(p *os.Process, s os.Signal) {
	if (s == syscall.SIGINT || s == syscall.SIGQUIT) && inForeground() {
		return
	}
	_ = p.Signal(s) // it has just ended, or changed its user
}

// inForeground tells whether dirlock is in the foreground process group of its
// controlling terminal.
func inForeground() bool {
	tty, err := unix.Open("/dev/tty", unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	if err != nil {
		return false
	}
	defer unix.Close(tty)
	foreground, err := unix.IoctlGetInt(tty, unix.TIOCGPGRP)
	if err != nil {
		return false
	}
	group, err := unix.Getpgid(0)
	return err == nil && group == foreground
}

// signalNumber returns N of the exit status 128+N.
func signalNumber(s os.Signal) int {
	n, _ := s.(syscall.Signal)
	return int(n)
}

// exitStatus returns the exit status of a process that has ended, as a shell
// has it.
func exitStatus(s *os.ProcessState) int {
	if w, ok := s.Sys().(syscall.WaitStatus); ok && w.Signaled() {
		return exitSignal + int(w.Signal())
	}
	return s.ExitCode()
}

// shell returns the command that runs a line of shell.
func shell(line string) []string { return []string{"/bin/sh", "-c", line} }
