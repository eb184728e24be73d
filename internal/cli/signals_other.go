//go:build !unix

package cli

import (
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"
)

// catchSignals returns a channel that receives what is to end dirlock while it
// waits, and what it must survive while the child runs: the console sends
// Ctrl-C to the child as well.
func catchSignals() chan os.Signal {
	c := make(chan os.Signal, 16)
	signal.Notify(c, os.Interrupt, syscall.SIGTERM)
	return c
}

func catchRareSignals(chan<- os.Signal) {}

// ends tells whether a signal ends dirlock while it waits.
func ends(os.Signal) bool { return true }

// asksToEnd tells whether a signal is how people and systems tell a program to
// end.
func asksToEnd(os.Signal) bool { return true }

// relay does nothing: there is no signal that could be passed on.
type relay struct {
	targets func() []int
	due     *time.Timer
}

func newRelay() *relay {
	due := time.NewTimer(time.Hour)
	due.Stop()
	return &relay{due: due}
}

func (*relay) begin()         {}
func (*relay) take(os.Signal) {}
func (*relay) pass()          {}
func (*relay) decoyPID() int  { return 0 }
func (*relay) stop()          {}

func isBackgroundJob(int) bool { return false }

// signalNumber returns N of the exit status 128+N.
func signalNumber(s os.Signal) int {
	if s == os.Interrupt {
		return 2
	}
	return 15
}

// exitStatus returns the exit status of a process that has ended.
func exitStatus(s *os.ProcessState) int { return s.ExitCode() }

// shell returns the command that runs a line of shell.
func shell(line string) []string {
	if runtime.GOOS == "windows" {
		comspec := os.Getenv("ComSpec")
		if comspec == "" {
			comspec = "cmd.exe"
		}
		return []string{comspec, "/c", line}
	}
	return []string{"/bin/sh", "-c", line}
}
