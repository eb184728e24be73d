package cli

import (
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"

	"github.com/dirlock/dirlock/lock"
	"github.com/dirlock/dirlock/proc"
)

// How records begin to name their program.
const (
	runName     = "dirlock run "  // of a command that dirlock waits for
	sessionName = "dirlock lock " // of a shell that has called "dirlock lock"
)

// nestedError says that a run would wait for the one that it is part of.
type nestedError struct{ exitError }

// refuseNested returns a nestedError if the lock is held by a run, or for a shell,
// that this process is part of and that waits for it. The hint says what to do.
func refuseNested(l *lock.DirLock, hint string) error {
	s, err := l.Status()
	if err != nil {
		return err
	}
	level, ok := s.Owner()
	if !ok || level.Owner.ID == "" || level.State == proc.Dead {
		return nil
	}
	owner := level.Owner
	if !isPartOf(owner) || inBackground(owner.PID) {
		return nil // what has started a background job can end before it
	}
	return nestedError{exitError{
		exitNested,
		fmt.Sprintf("this command runs under the lock of %s already, held by %s: it would wait for itself", s.Dir, owner),
		hint,
	}}
}

// isPartOf tells whether this process is part of what an owner runs: by the
// environment, or where that was cleared, as by sudo, and for a shell by the
// processes that have started this one. Of other owners it cannot be told whether
// they wait for this process.
func isPartOf(owner lock.Owner) bool {
	ids := strings.Fields(os.Getenv(envOwners) + " " + os.Getenv(envOwner))
	if slices.Contains(ids, owner.ID) {
		return true
	}
	self, err := proc.OS().Self()
	waits := strings.HasPrefix(owner.Command, runName) || strings.HasPrefix(owner.Command, sessionName)
	return err == nil && waits &&
		owner.Boot == self.Boot && owner.Namespace == self.Namespace && owner.Namespace != "" &&
		slices.Contains(ancestors(), owner.PID)
}

// inBackground tells whether a shell that an owner has started, or that is the
// owner, has put this process into the background: it ignores SIGINT then, or has
// a process group of its own, which the terminal is not for.
func inBackground(owner int) bool {
	return signal.Ignored(os.Interrupt) || isBackgroundJob(owner)
}
