package fsys

import (
	"errors"
	"io/fs"
)

// The optional interfaces of a Dir, and the functions that ask for them. A
// function looks through wrappers: see [Wrapper].

// Wrapper is a [Dir] around another one. The functions of this package that ask
// a Dir for an optional interface ask the wrapped one if the wrapper does not
// have it, so that a wrapper loses no abilities. [Open] is the exception: it
// would lose the wrapper. A wrapper that changes what Create does has to
// implement [Preparer], too, which creates files by another way.
type Wrapper interface {
	Dir
	// Unwrap returns the wrapped directory.
	Unwrap() Dir
}

// find returns d, or what it wraps, as a T.
func find[T any](d Dir) (t T, ok bool) {
	for {
		if t, ok = d.(T); ok {
			return t, true
		}
		w, wraps := d.(Wrapper)
		if !wraps {
			return t, false
		}
		d = w.Unwrap()
	}
}

// Opener is a [Dir] that stands for a name. Its operations find the directory
// anew each time; those of what Open returns all act on one directory, even if
// that is moved, or if another one takes its name.
type Opener interface {
	Dir
	// Open opens the directory that has the name now. It fails with
	// fs.ErrNotExist if there is none.
	Open() (OpenDir, error)
}

// Peeker is an [Opener] that can look at a file for less than it takes to open
// the directory.
type Peeker interface {
	Opener
	// Peek is Read without the ID. It is for answers that need no second look. It
	// can fail where Read would not: then open the directory, and Read.
	Peek(name string) (Snapshot, error)
}

// OpenDir is one directory, whatever its name is by now.
type OpenDir interface {
	Dir
	// Close lets go of the directory. Files that were created in it stay open.
	Close() error
}

// Open opens d if it is an [Opener]. If it is not, d is always the same
// directory, and Close does nothing.
func Open(d Dir) (OpenDir, error) {
	if o, ok := d.(Opener); ok {
		return o.Open()
	}
	return alwaysOpen{d}, nil
}

type alwaysOpen struct{ Dir }

func (alwaysOpen) Close() error  { return nil }
func (a alwaysOpen) Unwrap() Dir { return a.Dir }

// Maker is a [Dir] that stands for a name and can make the directory.
type Maker interface {
	Dir
	// Mkdir makes the directory, and those above it that are missing, with the
	// permissions that the system gives to new ones. That it exists is no error.
	Mkdir() error
}

// Mkdir asks d if it is a [Maker]. If it is not, the error matches
// errors.ErrUnsupported.
func Mkdir(d Dir) error {
	if m, ok := find[Maker](d); ok {
		return m.Mkdir()
	}
	return &fs.PathError{Op: "mkdir", Path: d.Path(), Err: errors.ErrUnsupported}
}

// Location says where the files of a directory are. The zero Location says that
// nothing is known.
type Location struct {
	// Local: every process that can ever change this directory runs on this
	// machine's kernel. A network file system, one shared with virtual machines
	// or their host, and one that is not known are not local.
	Local bool
	// Type is the type of file system, such as "ext4" or "overlay", or empty if
	// it is not known. It has neither spaces nor control characters.
	Type string
	// Mount names the mounted file system, or is empty if it has no name. One
	// file system can be mounted more than once by one kernel: over a network
	// by two containers, or as the upper layer of an overlay. The kernel then
	// takes what it finds there for different files, so that a [Witness] of one
	// is not seen in the other. Two processes of one boot that get the same name
	// see each other's witnesses. The name is not reused while any process has a
	// file of this mount open. It has neither spaces nor control characters.
	Mount string
	// Direct: the kernel knows each of these files under one Mount only. Of two
	// Direct mounts with different names, no file of one is a file of the other.
	Direct bool
}

// Localizer is a [Dir] that knows where its files are.
type Localizer interface {
	Dir
	// Locate asks anew each time: something may have been mounted over the name.
	Locate() (Location, error)
}

// Locate asks d if it is a [Localizer]. If it is not, the answer is the zero
// Location: nothing is known.
func Locate(d Dir) (Location, error) {
	if l, ok := find[Localizer](d); ok {
		return l.Locate()
	}
	return Location{}, nil
}

// Watcher is a [Dir] that can tell when to look at a file again.
type Watcher interface {
	Dir
	// Watch returns a channel that receives after the file of that name was
	// removed, replaced or renamed, and where the system tells of it, written to.
	// Wake-ups may be spurious or lost: one means only "look again". Changes after
	// Watch returns are covered. The caller calls stop exactly once, which releases
	// everything that Watch took. The channel is never closed.
	// It fails with fs.ErrNotExist if there is no such file, and with an
	// error that matches errors.ErrUnsupported where there are no events.
	Watch(name string) (changed <-chan struct{}, stop func(), err error)
}

// Watch asks d if it is a [Watcher]. If it is not, the error matches
// errors.ErrUnsupported.
func Watch(d Dir, name string) (changed <-chan struct{}, stop func(), err error) {
	if w, ok := find[Watcher](d); ok {
		return w.Watch(name)
	}
	return nil, nil, &fs.PathError{Op: "watch", Path: d.Path(), Err: errors.ErrUnsupported}
}

// Preparer is a [Dir] that can do the slow part of [Dir.Create] ahead of time,
// for a process that waits until it may create a file.
type Preparer interface {
	Dir
	// Prepare makes ready for one Create, of about size bytes of data. It leaves
	// nothing in the directory that anybody could see, or that would stay if this
	// process died. If this Dir is an [OpenDir], the Prepared can still be used
	// after it is closed. Where none of this is possible, the error matches
	// errors.ErrUnsupported.
	Prepare(size int) (Prepared, error)
}

// Prepared is what [Preparer.Prepare] has made ready. It is not safe for
// concurrent use.
type Prepared interface {
	// CreateIn is d.Create(name, data), and faster if d is the directory in
	// which this was prepared, even if it was closed and opened again since.
	// After fs.ErrExist or [ErrBusy] it can be called again. After success, or
	// any other error, this is used up, and need not be closed.
	CreateIn(d Dir, name string, data []byte) (File, error)

	// Close lets go of what was made ready. If it is used up, there is nothing to
	// let go of: the file that CreateIn made is closed by its own Close.
	Close() error
}

// Prepare asks d if it is a [Preparer]. If it is not, the error matches
// errors.ErrUnsupported.
func Prepare(d Dir, size int) (Prepared, error) {
	if p, ok := find[Preparer](d); ok {
		return p.Prepare(size)
	}
	return nil, &fs.PathError{Op: "prepare", Path: d.Path(), Err: errors.ErrUnsupported}
}

// Sweeper is a [Dir] whose [Dir.Create] or [Dir.Replace] goes through temporary
// files that a process can leave behind when it is killed.
type Sweeper interface {
	Dir
	// Sweep removes the temporary files of dead processes. One that belongs
	// to a living process either stays, or its Create succeeds all the same.
	Sweep() error
}

// Sweep asks d if it is a [Sweeper]. If it is not, there is nothing to sweep.
func Sweep(d Dir) error {
	if s, ok := find[Sweeper](d); ok {
		return s.Sweep()
	}
	return nil
}

// PartSweeper is a [Sweeper] that can look through a part of a directory, which
// may be large.
type PartSweeper interface {
	Sweeper
	// SweepPart is Sweep, and looks at no more than most names, whatever they are.
	SweepPart(most int) error
}

// SweepPart asks d if it is a [PartSweeper]. If it is not, nothing is swept.
func SweepPart(d Dir, most int) error {
	if s, ok := find[PartSweeper](d); ok {
		return s.SweepPart(most)
	}
	return nil
}
