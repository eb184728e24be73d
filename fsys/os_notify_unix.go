//go:build darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd || solaris

package fsys

import "golang.org/x/sys/unix"

// targetKey is the device and inode of a file.
type targetKey [2]uint64

// targetOf says what to watch for the file of that path.
func targetOf(path string) (string, targetKey, error) {
	var st unix.Stat_t
	if err := lstat(path, &st); err != nil {
		return "", targetKey{}, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return "", targetKey{}, ErrNotRegular
	}
	return path, targetKey{uint64(st.Dev), uint64(st.Ino)}, nil
}

// watchedBy says which watch an event comes from. Names are watched themselves.
func watchedBy(name string) string { return name }

// concerns: all waiters of a target wait for the same file.
func concerns(name, path string) bool { return true }
