package fsys

import (
	"errors"
	"io/fs"
	"os"
)

// Witness says whether the process that published a file still has it open,
// according to the kernel of this machine, or to the store that keeps the file.
type Witness uint8

const (
	// NoWitness: nobody can tell. The file system has no locks that would show
	// it, or the question failed.
	NoWitness Witness = iota
	// Free: nobody on this kernel has a lock on the file. If it was published
	// with a witness, its creator has let go of it or is dead.
	Free
	// HeldWeakly: some process on this kernel has a lock on the file, of a kind
	// that every process may take that can read it.
	HeldWeakly
	// Held: some process on this kernel has a lock on the file, of a kind that
	// takes permission to write it.
	Held
	// Leased: the file hangs on a lease that has not ended, so that its creator is
	// alive. This is for the store to say, and not for a kernel: see [Swapper].
	Leased
	// Ended: the file hangs on no lease. Its creator has let go of it, or is dead.
	Ended
)

// String returns "none", "free", "held weakly", "held", "leased" or "ended".
func (w Witness) String() string {
	switch w {
	case Free:
		return "free"
	case HeldWeakly:
		return "held weakly"
	case Held:
		return "held"
	case Leased:
		return "leased"
	case Ended:
		return "ended"
	}
	return "none"
}

// Witnesser is a [Dir] whose files can carry a kernel witness: a lock of the
// operating system on the published file itself, held from before the file is
// visible until [File.Close] or the death of its creator, whichever is first,
// and not inherited by programs that the creator starts.
type Witnesser interface {
	Dir
	// Witnesses returns what Read tells of every file that Create makes in this
	// directory, while its creator has it open: Held, HeldWeakly, Leased or
	// NoWitness.
	// Unless it is NoWitness, Create fails rather than publish a file without.
	Witnesses() (Witness, error)
}

// Witnesses asks d if it is a [Witnesser]. If it is not, the answer is
// NoWitness.
func Witnesses(d Dir) (Witness, error) {
	if w, ok := find[Witnesser](d); ok {
		return w.Witnesses()
	}
	return NoWitness, nil
}

// Inheritor is a [File] whose witness can be shared with other processes.
type Inheritor interface {
	File
	// Dup returns another descriptor of the open file. The kernel takes the file
	// for held (see [Witness]) until both are closed, here and in every process
	// that has inherited one. A program that is started inherits it only by
	// os/exec.Cmd.ExtraFiles.
	// It fails with an error that matches errors.ErrUnsupported if the file has no
	// witness, or one that cannot be shared.
	Dup() (*os.File, error)
}

// Dup asks f if it is an [Inheritor]. If it is not, the error matches
// errors.ErrUnsupported.
func Dup(f File) (*os.File, error) {
	if i, ok := f.(Inheritor); ok {
		return i.Dup()
	}
	return nil, &fs.PathError{Op: "dup", Path: "lock file", Err: errors.ErrUnsupported}
}
