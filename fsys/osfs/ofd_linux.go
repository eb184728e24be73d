package osfs

import (
	"golang.org/x/sys/unix"

	"github.com/dirlock/dirlock/fsys"
)

// A write lock of the kind that belongs to the open file (fcntl(2), F_OFD_SETLK,
// Linux 3.15) can be had by a process that may write the file, and by no other.
// On network file systems it would be the server's, with a meaning of its own:
// there it is not used.

// lockNew takes the write lock, if it is to be strong. If that cannot be had, it
// takes a flock, and says why.
func lockNew(fd int, strong bool) (fsys.Witness, error) {
	var missing error
	if strong {
		l := unix.Flock_t{Type: unix.F_WRLCK, Len: presentByte} // see line_linux.go
		missing = ofdLock(fd, unix.F_OFD_SETLK, &l)
		if missing == nil {
			return fsys.Held, nil
		}
		if !lacksLocks(missing) {
			return fsys.NoWitness, missing
		}
	}
	if err := flock(fd, lockExclusive); err != nil {
		return fsys.NoWitness, err
	}
	return fsys.HeldWeakly, missing
}

// probe asks whether a read lock could be had, and takes none. Where that
// question is refused, as a sandbox can, nobody can tell that the file is free.
func probe(fd int, strong bool) fsys.Witness {
	if !strong {
		return probeFlock(fd)
	}
	l := unix.Flock_t{Type: unix.F_RDLCK, Len: lineByte}
	err := ofdLock(fd, unix.F_OFD_GETLK, &l)
	if err == nil && l.Type == unix.F_WRLCK {
		return fsys.Held
	}
	weak := probeFlock(fd)
	if err != nil && weak == fsys.Free {
		return fsys.NoWitness
	}
	return weak
}
