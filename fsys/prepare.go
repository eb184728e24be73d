package fsys

import (
	"errors"
	"io/fs"
)

// Preparer is a [Dir] that can do the slow part of [Dir.Create] ahead of time,
// for a process that waits until it may create a file.
type Preparer interface {
	Dir
	// Prepare makes ready for one Create, of about so many bytes of data. It
	// leaves nothing in the directory that anybody could see, or that would stay
	// if this process died. It fails with an error that matches
	// errors.ErrUnsupported where that is not possible.
	Prepare(size int) (Prepared, error)
}

// Prepared is what [Preparer.Prepare] has made ready. It is not safe for
// concurrent use.
type Prepared interface {
	// Create is [Dir.Create] of the directory that this is of. After
	// fs.ErrExist or [ErrBusy] it can be called again. After success, or any
	// other error, this is used up, and need not be closed.
	Create(name string, data []byte) (File, error)

	// Close lets go of what was made ready. If it is used up, there is nothing to
	// let go of: the file that Create made is closed by its own Close.
	Close() error
}

// Prepare asks d if it is a [Preparer]. If it is not, the error matches
// errors.ErrUnsupported.
func Prepare(d Dir, size int) (Prepared, error) {
	if p, ok := d.(Preparer); ok {
		return p.Prepare(size)
	}
	return nil, &fs.PathError{Op: "prepare", Path: d.Path(), Err: errors.ErrUnsupported}
}
