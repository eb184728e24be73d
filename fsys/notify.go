package fsys

import (
	"errors"
	"io/fs"
)

// Notifier is a [Dir] that can tell when to look at a file again.
type Notifier interface {
	Dir
	// Notify returns a channel that receives after the file of that name was
	// removed, replaced or renamed. It may receive for no reason at all, and
	// an event can be lost: a receipt means "look again" and nothing more.
	// A change that happens after Notify returned is not missed because of
	// being early. The caller calls stop exactly once; it releases everything
	// that Notify took, and the channel is never closed.
	// It fails with fs.ErrNotExist if there is no such file, and with an
	// error that matches errors.ErrUnsupported where there are no events.
	Notify(name string) (changed <-chan struct{}, stop func(), err error)
}

// Notify asks d if it is a [Notifier]. If it is not, the error matches
// errors.ErrUnsupported.
func Notify(d Dir, name string) (changed <-chan struct{}, stop func(), err error) {
	if n, ok := d.(Notifier); ok {
		return n.Notify(name)
	}
	return nil, nil, &fs.PathError{Op: "notify", Path: d.Path(), Err: errors.ErrUnsupported}
}
