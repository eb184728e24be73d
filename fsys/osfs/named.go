//go:build unix && !linux

package osfs

// Unnamed files that can be linked in are Linux's alone.

func openUnnamed(dir string) (int, error) { return -1, errMissing }

func linkUnnamed(fd int, path string) error { return errMissing }
