//go:build unix

package cli

import (
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// catchSignals returns a channel that receives the signals that the command is
// to get. Those that were ignored when dirlock was started stay so, for the
// command too: nohup(1) works.
//
// SIGTSTP, SIGTTIN, SIGTTOU and SIGCONT are left alone: the terminal sends the
// first three to the command as well, and the shell the last one. If somebody
// stops dirlock alone, the command goes on and the lock stays held. SIGXCPU and
// SIGXFSZ are about dirlock itself, and so are those that a fault raises
// (SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS).
func catchSignals() chan os.Signal {
	c := make(chan os.Signal, 64)
	catch(c, passedOn())
	return c
}

// catchRareSignals makes the channel receive those as well that no program sends
// to one that it has just started. Until then they do nothing to dirlock. To catch
// a signal costs two switches of threads, and there are many of these.
func catchRareSignals(c chan<- os.Signal) { catch(c, rareSignals()) }

func catch(c chan<- os.Signal, signals []syscall.Signal) {
	for _, s := range signals {
		if !signal.Ignored(s) {
			signal.Notify(c, s)
		}
	}
}

// passedOn returns the signals that dirlock passes on, but for the rare ones.
func passedOn() []syscall.Signal {
	return []syscall.Signal{
		syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGABRT,
		syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGTERM, syscall.SIGWINCH,
	}
}

// ends tells whether a signal ends dirlock while it waits.
func ends(s os.Signal) bool { return s != syscall.SIGWINCH }

// asksToEnd tells whether a signal is how people and systems tell a program to
// end.
func asksToEnd(s os.Signal) bool {
	switch s {
	case syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGABRT, syscall.SIGTERM:
		return true
	}
	return false
}

// inForeground tells whether dirlock is in the foreground process group of its
// controlling terminal, if it has one.
func inForeground() (foreground, terminal bool) {
	tty, err := unix.Open("/dev/tty", unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	if err != nil {
		return false, false
	}
	defer unix.Close(tty)
	group, err := unix.IoctlGetInt(tty, unix.TIOCGPGRP)
	if err != nil {
		return false, false
	}
	ours, err := unix.Getpgid(0)
	return err == nil && group == ours, err == nil
}

// isBackgroundJob tells whether this process has another process group than one
// that has started it, and is not in the foreground of its terminal.
func isBackgroundJob(starter int) bool {
	foreground, terminal := inForeground()
	return terminal && !foreground && !inOurGroup(starter)
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
