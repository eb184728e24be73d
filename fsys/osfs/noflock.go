//go:build aix || (solaris && !illumos)

package osfs

import "golang.org/x/sys/unix"

// These systems have the locks of fcntl(2) only. They belong to the process,
// which loses them when it closes any descriptor of the file: no witness could
// rely on that.
const (
	lockShared = iota
	lockExclusive
	lockNone
)

func flock(fd, how int) error { return unix.ENOSYS }
