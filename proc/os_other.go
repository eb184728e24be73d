//go:build !linux

package proc

import (
	"errors"
	"fmt"
)

const maxPID = maxPID32

type osState struct{}

func newOSTable() *osTable { return &osTable{} }

// identify knows nothing: the system has no process table that can be asked.
func (t *osTable) identify() Identity { return Identity{} }

// probe cannot tell.
func (t *osTable) probe(Identity) (State, string) {
	return Unknown, "this system cannot say which processes exist"
}

// notify has no such event.
func (t *osTable) notify(id Identity) (<-chan struct{}, func(), error) {
	return nil, nil, fmt.Errorf("proc: notify of process %d: %w", id.PID, errors.ErrUnsupported)
}
