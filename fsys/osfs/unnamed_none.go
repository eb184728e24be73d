//go:build unix && !linux

package osfs

// Unnamed files that can be linked in are Linux's alone.

func openUnnamed(at int) (int, error) { return -1, errMissing }

func linkUnnamed(fd, at int, name string) error { return errMissing }

func openAgain(fd int) (int, error) { return -1, errMissing }
