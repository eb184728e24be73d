package fsys

import (
	"errors"
	"fmt"
	"io/fs"
)

// ErrDirectory is [ErrNotRegular] for a directory. [Dir.Read] returns it (wrapped
// in an [fs.PathError]) if what has the name is one, and not a link to one. A
// backend that is no [Nester] need not tell directories from other things.
var ErrDirectory = fmt.Errorf("%w but a directory", ErrNotRegular)

// ErrNotDirectory is returned (wrapped in an [fs.PathError]) by the methods of a
// [Nester] if the name is that of anything but a directory, be it a symbolic link
// to one.
var ErrNotDirectory = errors.New("not a directory")

// ErrNotEmpty is returned (wrapped in an [fs.PathError]) by [Nester.RemoveDir] if
// there is anything in the directory.
var ErrNotEmpty = errors.New("directory is not empty")

// Nester is a [Dir] that can have directories with files in them. Each operation
// is atomic, and no link is followed.
type Nester interface {
	Dir
	// MakeDir makes an empty directory. Whoever may make files in this directory
	// may make them in the new one: it has the same permissions, whatever the
	// umask of the process is. If the process dies meanwhile it may have fewer.
	// MakeDir fails with fs.ErrExist if there is anything of that name.
	MakeDir(name string) error

	// OpenDir opens a directory. It fails with fs.ErrNotExist, or with
	// ErrNotDirectory.
	OpenDir(name string) (Subdir, error)

	// RemoveDir removes a directory that is empty, and nothing else: whether it is
	// empty is seen in the same step, and what is in it is never touched. (A file
	// that is removed while it is open can stay in it by another name until it is
	// closed, on NFS and FUSE.) It fails
	// with ErrNotEmpty, with fs.ErrNotExist, or with ErrNotDirectory. If somebody
	// has the directory open, his Create fails with fs.ErrNotExist from then on.
	// (Where a directory is found by its path each time, and has been made again,
	// the new one is used.)
	RemoveDir(name string) error
}

// Subdir is a directory that [Nester.OpenDir] has opened. It is the same directory
// until Close.
type Subdir interface {
	OpenDir
	// Named reports whether it still has the name by which it was opened. If the
	// name is free, or has been given to something else, that is (false, nil).
	Named() (bool, error)
}

// MakeDir asks d if it is a [Nester]. If it is not, the error matches
// errors.ErrUnsupported.
func MakeDir(d Dir, name string) error {
	if n, ok := find[Nester](d); ok {
		return n.MakeDir(name)
	}
	return noNester("mkdir", d)
}

// OpenSubdir asks d if it is a [Nester]. If it is not, the error matches
// errors.ErrUnsupported.
func OpenSubdir(d Dir, name string) (Subdir, error) {
	if n, ok := find[Nester](d); ok {
		return n.OpenDir(name)
	}
	return nil, noNester("open", d)
}

// RemoveDir asks d if it is a [Nester]. If it is not, the error matches
// errors.ErrUnsupported.
func RemoveDir(d Dir, name string) error {
	if n, ok := find[Nester](d); ok {
		return n.RemoveDir(name)
	}
	return noNester("rmdir", d)
}

func noNester(op string, d Dir) error {
	return &fs.PathError{Op: op, Path: d.Path(), Err: fmt.Errorf("%w: no directories inside", errors.ErrUnsupported)}
}
