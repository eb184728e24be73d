package fsys

// Witness says whether the process that published a file still has it open, by
// the word of the kernel that it runs on.
type Witness uint8

const (
	// NoWitness: nobody can tell. The file system has no locks that would show
	// it, or the question failed.
	NoWitness Witness = iota
	// Free: nobody on this kernel holds the file. If it was published with a
	// witness, then its creator has let go of it or is dead.
	Free
	// Held: somebody on this kernel holds the file.
	Held
)

// String returns "none", "free" or "held".
func (w Witness) String() string {
	switch w {
	case Free:
		return "free"
	case Held:
		return "held"
	}
	return "none"
}

// Witnesser is a [Dir] whose files can carry a kernel witness: a lock of the
// operating system on the published file itself, held from before the file is
// visible until [File.Close] or the death of its creator, whichever is first,
// and not inherited by programs that the creator starts.
type Witnesser interface {
	Dir
	// Witnesses reports whether every file that Create makes in this
	// directory carries the witness. If it does, Create fails rather than
	// publish a file without it.
	Witnesses() (bool, error)
}

// Witnesses asks d if it is a [Witnesser]. If it is not, the answer is no.
func Witnesses(d Dir) (bool, error) {
	if w, ok := d.(Witnesser); ok {
		return w.Witnesses()
	}
	return false, nil
}
