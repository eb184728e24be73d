//go:build darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd

package osfs

import "golang.org/x/sys/unix"

// The locks of flock(2) belong to the open file: they end when its last
// descriptor is closed, and whoever opens the file anew can be refused one, in
// the same process too. None of the calls blocks.
const (
	lockShared    = unix.LOCK_SH | unix.LOCK_NB
	lockExclusive = unix.LOCK_EX | unix.LOCK_NB
	lockNone      = unix.LOCK_UN
)

func flock(fd, how int) error {
	for {
		if err := unix.Flock(fd, how); err != unix.EINTR {
			return err
		}
	}
}
