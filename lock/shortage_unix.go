//go:build unix

package lock

import (
	"errors"
	"syscall"
)

// isShortage tells whether an error says that the system, the user or the process
// has run out of something that others give back: it may pass.
func isShortage(err error) bool {
	for _, e := range []syscall.Errno{
		syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.EAGAIN, syscall.EINTR, syscall.ENOBUFS, syscall.ENOLCK,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// noRoomForEvents is isShortage for a watch: inotify(7) calls its limit of
// watches ENOSPC.
func noRoomForEvents(err error) bool { return isShortage(err) || errors.Is(err, syscall.ENOSPC) }
