//go:build unix

package osfs

import (
	"errors"

	"golang.org/x/sys/unix"
)

var (
	// errMissing: the file system cannot do this, the next way may do.
	errMissing = errors.New("missing")

	// errSwept: the temporary file was removed, by the sweep of a process that
	// saw it before it was locked.
	errSwept = errors.New("temporary file was swept away")
)

// lacks reports whether err says that the file system or the kernel does not
// have the operation.
func lacks(err error) bool {
	return err == errMissing || err == unix.EINVAL || errors.Is(err, errors.ErrUnsupported)
}

// isGone reports whether err says that there is no such file: ESTALE is what a
// network file system says of one that was removed at the server.
func isGone(err error) bool {
	return err == unix.ENOENT || err == unix.ENOTDIR || err == unix.ESTALE
}

// refused reports whether err is the answer of a system that has looked, and
// has done nothing. Other errors may come after the thing was done: a reply was
// lost, or came too late.
func refused(err error) bool {
	switch err {
	case unix.EACCES, unix.EPERM, unix.EROFS, unix.EISDIR, unix.EBUSY, unix.ENAMETOOLONG, unix.ELOOP:
		return true
	}
	return lacks(err)
}
