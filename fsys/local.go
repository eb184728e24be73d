package fsys

// Localizer is a [Dir] that knows whether other machines can reach it.
type Localizer interface {
	Dir
	// Local reports whether every process that can ever change this directory
	// runs on this machine's kernel. A network file system, one shared with
	// virtual machines or their host, and one that is not known are not local.
	Local() (bool, error)
}

// Local asks d if it is a [Localizer]. If it is not, the directory counts as one
// that other machines can reach.
func Local(d Dir) (bool, error) {
	if l, ok := d.(Localizer); ok {
		return l.Local()
	}
	return false, nil
}
