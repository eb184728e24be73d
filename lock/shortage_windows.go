package lock

import (
	"errors"
	"syscall"
)

// isShortage tells whether an error says that the system, the user or the process
// has run out of something that others give back: it may pass.
func isShortage(err error) bool {
	for _, e := range []syscall.Errno{
		4,    // ERROR_TOO_MANY_OPEN_FILES
		8,    // ERROR_NOT_ENOUGH_MEMORY
		14,   // ERROR_OUTOFMEMORY
		1450, // ERROR_NO_SYSTEM_RESOURCES
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func noRoomForEvents(err error) bool { return isShortage(err) }
