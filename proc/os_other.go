//go:build !unix && !windows

package proc

import "github.com/dirlock/dirlock/proc/internal/reason"

const maxPID = maxPID32

type osState struct{}

func newOSTable() *osTable { return &osTable{} }

// identify knows nothing. js and wasip1 have no process table; Plan 9 has one,
// but this package does not know how to ask it.
func (t *osTable) identify() Identity { return Identity{} }

// probe cannot tell.
func (t *osTable) probe(Identity) (State, string) { return Unknown, reason.NoTable }
