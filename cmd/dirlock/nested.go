package main

import (
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"

	"github.com/dirlock/dirlock/lock"
	"github.com/dirlock/dirlock/proc"
)

// runName is how the records of "dirlock run" begin to name their program.
const runName = "dirlock run "

// nestedError says that a run would wait for the one that it is part of.
type nestedError struct{ exitError }

// refuseNested returns a nestedError if the lock is held by a run that this one
// is part of, and that waits for it.
func refuseNested(l *lock.DirLock) error {
	if inBackground() {
		return nil // the run that it was started by can end before it
	}
	s, err := l.Status()
	if err != nil {
		return err
	}
	level, ok := s.Owner()
	if !ok || level.Owner.ID == "" || level.State == proc.Dead {
		return nil
	}
	owner := level.Owner
	if !isPartOf(owner) {
		return nil
	}
	return nestedError{exitError{
		exitNested,
		fmt.Sprintf("this command runs under the lock of %s already, held by %s: it would wait for itself", s.Dir, owner),
		"do not lock twice, or use --nested",
	}}
}

// isPartOf tells whether this process is part of the run of an owner: by the
// environment, or where that was cleared, as by sudo, by the processes that have
// started this one. Of owners other than "dirlock run" it cannot be told whether
// they wait for this process.
func isPartOf(owner lock.Owner) bool {
	ids := strings.Fields(os.Getenv(envOwners) + " " + os.Getenv(envOwner))
	if slices.Contains(ids, owner.ID) {
		return true
	}
	self, err := proc.OS().Self()
	return err == nil && strings.HasPrefix(owner.Command, runName) &&
		owner.Boot == self.Boot && owner.Namespace == self.Namespace && owner.Namespace != "" &&
		slices.Contains(ancestors(), owner.PID)
}

// inBackground tells whether a shell has started this process with an & in a
// script: it ignores SIGINT then.
func inBackground() bool { return signal.Ignored(os.Interrupt) }
