package fsys

import (
	"errors"
	"io/fs"
)

// Placer is a [File] of an [OpenDir] that can also look for itself by way of the
// name of the directory, which may lead elsewhere by now.
type Placer interface {
	File
	// Place is [File.Intact], and also tells whether a process that opens the
	// directory by its name now finds this file there. If that cannot be told,
	// because the name leads through a directory that is closed to this process,
	// or because the process has another root directory than before, it does not
	// count: the result is Here or Gone. After Close it fails.
	Place(name string) (Place, error)
}

// Place says where a file is. See [Placer].
type Place uint8

const (
	// Gone: the file is not what it was, or does not have its name any more, in
	// the directory where it was made.
	Gone Place = iota
	// Here: the file is intact, in the directory to which the name leads.
	Here
	// Moved: the file is intact, in a directory to which its name does not lead
	// any more. The name leads to no directory.
	Moved
	// Replaced: the name leads to another directory. Nothing is said of the file.
	Replaced
)

// String returns "gone", "here", "moved" or "replaced".
func (p Place) String() string {
	switch p {
	case Here:
		return "here"
	case Moved:
		return "moved"
	case Replaced:
		return "replaced"
	}
	return "gone"
}

// PlaceOf asks f if it is a [Placer]. If it is not, the answer is that of Intact:
// Here or Gone.
func PlaceOf(f File, name string) (Place, error) {
	if p, ok := f.(Placer); ok {
		return p.Place(name)
	}
	ok, err := f.Intact(name)
	if ok && err == nil {
		return Here, nil
	}
	return Gone, err
}

// MoveWatcher is a [Dir] that can tell when its name may lead elsewhere.
type MoveWatcher interface {
	Dir
	// WatchMove is like [Watcher.Watch]: the channel receives after the directory
	// was moved. That a directory above it was moved, or that something was
	// mounted over one of them, may cause nothing.
	WatchMove() (moved <-chan struct{}, stop func(), err error)
}

// WatchMove asks d if it is a [MoveWatcher]. If it is not, the error matches
// errors.ErrUnsupported.
func WatchMove(d Dir) (moved <-chan struct{}, stop func(), err error) {
	if m, ok := find[MoveWatcher](d); ok {
		return m.WatchMove()
	}
	return nil, nil, &fs.PathError{Op: "watch", Path: d.Path(), Err: errors.ErrUnsupported}
}
