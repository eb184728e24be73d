//go:build unix && !linux

package proc

import "golang.org/x/sys/unix"

const maxPID = maxPID32

//lint:ignore U1000 it is embedded: other systems have fields here
type osState struct{}

func newOSTable() *osTable { return &osTable{} }

// oneNamespace is the Namespace on a system where a PID means one process only,
// whoever asks.
const oneNamespace = "system"

const reasonInvisible = "no process with this PID is visible, but processes may be hidden"

// probe asks with kill(2) and signal 0, which sends nothing, whether there is a
// process or a zombie, and then for its start time where the system has one.
func (t *osTable) probe(id Identity) (State, string) {
	if unix.Kill(id.PID, 0) == unix.ESRCH {
		if !seesAll() {
			return Unknown, reasonInvisible
		}
		return Dead, reasonNone
	}
	start, zombie := lookAt(id.PID)
	switch {
	case start == "":
		return Unknown, reasonHidden
	case zombie:
		return Dead, reasonZombie
	case id.Start == "":
		return Unknown, reasonNoStart
	case id.Start != start:
		return Dead, reasonReused
	}
	return Alive, reasonRuns
}
