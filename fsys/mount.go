package fsys

// Mounter is a [Dir] that knows which mounted file system it is on. One file
// system can be mounted more than once by one kernel: over a network by two
// containers, for example. The kernel then takes what it finds there for
// different files, so that a [Witness] of one is not seen in the other.
type Mounter interface {
	Dir
	// Mount names the mounted file system. Two processes of one kernel's boot
	// that get the same name see each other's witnesses. The name is not given
	// to another one while a process has a file of this one open. It has
	// neither spaces nor control characters.
	Mount() (string, error)
}

// Mount asks d if it is a [Mounter]. If it is not, or cannot tell, the name is
// empty.
func Mount(d Dir) string {
	if m, ok := d.(Mounter); ok {
		if name, err := m.Mount(); err == nil {
			return name
		}
	}
	return ""
}
