//go:build darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd

package osfs

import (
	"golang.org/x/sys/unix"

	"github.com/dirlock/dirlock/fsys"
)

// The locks of flock(2) belong to the open file: they end when its last
// descriptor is closed, and whoever opens the file anew can be refused one, in
// the same process too. Permission to read the file is enough for all of them.
// None of the calls blocks.
const (
	lockShared    = unix.LOCK_SH | unix.LOCK_NB
	lockExclusive = unix.LOCK_EX | unix.LOCK_NB
	lockNone      = unix.LOCK_UN
)

func flock(fd, how int) error {
	return uninterrupted(func() error { return unix.Flock(fd, how) })
}

// probeFlock takes a shared lock, which does not disturb other probers. Closing
// lets go of it.
func probeFlock(fd int) fsys.Witness {
	switch flock(fd, lockShared) {
	case nil:
		return fsys.Free
	case unix.EWOULDBLOCK:
		return fsys.HeldWeakly
	}
	return fsys.NoWitness
}
