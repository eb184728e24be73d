//go:build !unix && !windows

package proc

const maxPID = maxPID32

type osState struct{}

func newOSTable() *osTable { return &osTable{} }

// identify knows nothing: the system has no process table that could be asked
// (js, wasip1), or this package does not know how (plan9).
func (t *osTable) identify() Identity { return Identity{} }

// probe cannot tell.
func (t *osTable) probe(Identity) (State, string) {
	return Unknown, "nothing on this system says which processes exist"
}
