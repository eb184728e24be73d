//go:build unix && !darwin && !linux

package osfs

// renameNew would rename without replacing, which these systems cannot.
func renameNew(at int, oldname, newname string) error { return errMissing }
