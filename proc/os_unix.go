//go:build unix && !linux

package proc

import (
	"golang.org/x/sys/unix"

	"github.com/dirlock/dirlock/proc/internal/reason"
)

const maxPID = maxPID32

//lint:ignore U1000 it is embedded: other systems have fields here
type osState struct{}

func newOSTable() *osTable { return &osTable{} }

// oneNamespace is the Namespace on a system where a PID means the same process
// to everybody.
const oneNamespace = "system"

// probe asks with kill(2) and signal 0, which sends nothing, whether the PID
// belongs to a process or a zombie. Then it asks for the start time, where the
// system has one. None of these systems has a Unique.
//
// A system provides the functions seesAll, whether kill(2) says ESRCH only if
// there is no such process, and lookAt, the start time of a process ("" if it
// cannot be read) and whether it is a zombie.
func (t *osTable) probe(id Identity) (State, string) {
	if unix.Kill(id.PID, 0) == unix.ESRCH {
		if !seesAll() {
			return Unknown, reason.Invisible
		}
		return Dead, reason.None
	}
	start, zombie := lookAt(id.PID)
	switch {
	case start == "":
		return Unknown, reason.Hidden
	case zombie:
		return Dead, reason.Zombie
	case id.Start == "":
		return Unknown, reason.NoStart
	case id.Start != start:
		return Dead, reason.Reused
	}
	return Alive, reason.Runs
}
