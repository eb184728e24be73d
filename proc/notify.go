package proc

import (
	"errors"
	"fmt"
)

// Notifier is a [Table] that can tell when to look at a process again.
type Notifier interface {
	Table
	// Notify returns a channel that receives after the process with id.PID has
	// ended; if it has ended already, at once. It may receive for no reason: a
	// receipt means "look again" and nothing more. The caller calls stop
	// exactly once; it releases everything that Notify took, and the channel
	// is never closed. It fails with an error that matches
	// errors.ErrUnsupported where the system has no such event.
	Notify(id Identity) (ended <-chan struct{}, stop func(), err error)
}

// Notify asks t if it is a [Notifier]. If it is not, the error matches
// errors.ErrUnsupported.
func Notify(t Table, id Identity) (ended <-chan struct{}, stop func(), err error) {
	if n, ok := t.(Notifier); ok {
		return n.Notify(id)
	}
	return nil, nil, fmt.Errorf("proc: notify of process %d: %w", id.PID, errors.ErrUnsupported)
}
