//go:build darwin || dragonfly || freebsd || illumos || netbsd || openbsd

package osfs

import "github.com/dirlock/dirlock/fsys"

// These systems have no lock that belongs to the open file and takes permission
// to write it. (Those of fcntl(2) belong to the process, which loses them when it
// closes any descriptor of the file.)

func lockNew(fd int, strong bool) (fsys.Witness, error) {
	if err := flock(fd, lockExclusive); err != nil {
		return fsys.NoWitness, err
	}
	return fsys.HeldWeakly, nil
}

func probe(fd int, strong bool) fsys.Witness { return probeFlock(fd) }

func letPass(int) {} // there are no lines
