package fsys

import (
	"errors"
	"io/fs"
)

// Liner is a [Dir] in which processes can stand in line for a file: the system
// wakes the first of them when the creator of the file lets go of it or dies, and
// the next one when the first lets go of its place or dies.
type Liner interface {
	Dir
	// Line takes the last place in the line for the file of that name, which must
	// be [Held]. Whoever may not write the file gets an error. So does everybody
	// where there are no lines; it matches errors.ErrUnsupported. It fails with
	// fs.ErrNotExist if there is no such file.
	Line(name string) (Spot, error)
}

// Spot is a place in the line for one file. It stays one in the line for that
// file, whatever becomes of the file's name. It uses up a descriptor.
type Spot interface {
	// Wait blocks until the creator of the file, and all who had a place before
	// this one, have let go; and one thread as long. Those behind wait on until
	// Close. If it fails, the place is lost, and has to be closed.
	Wait() error

	// Interrupt makes Wait fail with ErrInterrupted, now or when it is called,
	// unless it was about to succeed. It can be called at any time, also after
	// Close.
	Interrupt()

	// Followed tells whether others have a place in the same line.
	Followed() bool

	// Close gives up the place, and wakes the next one if this was the first. It
	// must not be called during a Wait.
	Close() error
}

// ErrInterrupted is what [Spot.Wait] returns after [Spot.Interrupt].
var ErrInterrupted = errors.New("interrupted")

// Line asks d if it is a [Liner]. If it is not, the error matches
// errors.ErrUnsupported.
func Line(d Dir, name string) (Spot, error) {
	if l, ok := find[Liner](d); ok {
		return l.Line(name)
	}
	return nil, &fs.PathError{Op: "line", Path: d.Path(), Err: errors.ErrUnsupported}
}
