package proc

import (
	"errors"
	"fmt"
)

// Notifier is a [Table] that reports the end of a process.
type Notifier interface {
	Table
	// Notify returns a channel that receives after the process has ended, at
	// once if it has ended already. Wake-ups may be spurious: one means only
	// "look again". The channel is never closed.
	//
	// The caller must call stop exactly once. It releases everything that
	// Notify took.
	//
	// Where the system has no such event, the error matches
	// [errors.ErrUnsupported].
	Notify(id Identity) (ended <-chan struct{}, stop func(), err error)
}

// Notify calls t.Notify if t is a [Notifier]. If it is not, the error matches
// [errors.ErrUnsupported].
func Notify(t Table, id Identity) (ended <-chan struct{}, stop func(), err error) {
	if n, ok := t.(Notifier); ok {
		return n.Notify(id)
	}
	return nil, nil, notifyError(id.PID, errors.ErrUnsupported)
}

// notifyError says which operation failed.
func notifyError(pid int, err error) error {
	return fmt.Errorf("proc: notify of process %d: %w", pid, err)
}
