//go:build unix

package osfs

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// The system calls, each until no signal interrupts it. Names are relative to
// the descriptor of a directory.

// uninterrupted repeats a call until no signal interrupts it.
func uninterrupted(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}

// handle is the descriptor of an open directory. It may be one that can only be
// used to find what is in the directory.
type handle struct {
	fd    int
	named *named // by which it was found
}

func (h handle) close() error { return closeFD(h.fd) }

// entries opens the directory for reading its names.
func (h handle) entries() (*os.File, error) {
	fd, err := openat(h.fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "directory "+strconv.Itoa(h.fd)), nil
}

// How files are opened. What anybody may have put there is not followed, and
// opening it does not block.
const (
	toLook = unix.O_RDONLY | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_NOCTTY
	toMake = unix.O_RDWR | unix.O_CREAT | unix.O_EXCL | unix.O_NOFOLLOW
)

func openat(at int, name string, flags int, mode uint32) (fd int, err error) {
	err = uninterrupted(func() (err error) {
		fd, err = unix.Openat(at, name, flags|unix.O_CLOEXEC, mode)
		return err
	})
	return fd, err
}

func fstat(fd int, st *unix.Stat_t) error {
	return uninterrupted(func() error { return unix.Fstat(fd, st) })
}

func fstatat(at int, name string, st *unix.Stat_t, flags int) error {
	return uninterrupted(func() error { return unix.Fstatat(at, name, st, flags) })
}

func fsync(fd int) error {
	return uninterrupted(func() error { return unix.Fsync(fd) })
}

func fchmod(fd int, mode uint32) error {
	return uninterrupted(func() error { return unix.Fchmod(fd, mode) })
}

func ftruncate(fd int, size int64) error {
	return uninterrupted(func() error { return unix.Ftruncate(fd, size) })
}

func read(fd int, p []byte) (n int, err error) {
	err = uninterrupted(func() (err error) {
		n, err = unix.Read(fd, p)
		return err
	})
	return n, err
}

func pread(fd int, p []byte, off int64) (n int, err error) {
	err = uninterrupted(func() (err error) {
		n, err = unix.Pread(fd, p, off)
		return err
	})
	return n, err
}

func pwrite(fd int, p []byte, off int64) (n int, err error) {
	err = uninterrupted(func() (err error) {
		n, err = unix.Pwrite(fd, p, off)
		return err
	})
	return n, err
}

func renameat(at int, oldname, newname string) error {
	return uninterrupted(func() error { return unix.Renameat(at, oldname, at, newname) })
}

func unlinkat(at int, name string) error {
	return uninterrupted(func() error { return unix.Unlinkat(at, name, 0) })
}

// closeFD does not try again: the descriptor is gone even if close(2) was
// interrupted, and may be somebody else's by now.
func closeFD(fd int) error {
	if err := unix.Close(fd); err != unix.EINTR {
		return err
	}
	return nil
}

func idOf(st *unix.Stat_t) fileID { return fileID{uint64(st.Dev), uint64(st.Ino)} }

func isRegular(st *unix.Stat_t) bool { return st.Mode&unix.S_IFMT == unix.S_IFREG }

// is reports whether the name in the directory is that file.
func (h handle) is(name string, id fileID) bool {
	var st unix.Stat_t
	return fstatat(h.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW) == nil && idOf(&st) == id
}
