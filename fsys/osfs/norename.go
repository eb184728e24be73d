//go:build unix && !darwin && !linux

package osfs

// renameNew would rename without replacing, which these systems cannot.
func renameNew(oldpath, newpath string) error { return errMissing }
