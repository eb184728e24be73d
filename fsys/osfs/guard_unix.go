//go:build unix

package osfs

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dirlock/dirlock/fsys"
)

const (
	guardTries = 25
	guardPause = 2 * time.Millisecond

	// guardName has the form of a temporary file's name, so that a sweep removes
	// what a dead process has left of it.
	guardName = TempPrefix + "GUARDFORTHEMOMENTOFONECREATION"
)

// guarded runs op while this process alone has a lock on the file of guardName,
// which is there for as long as that takes. A process that dies lets go of it.
// One that is stopped does not: then the others get ErrBusy, after guardTries.
//
// The lock is not one on the directory itself, which anybody may have who can
// read it, for as long as he likes.
//
// It excludes the processes of this kernel only, so the directory must be out of
// reach for every other.
func (d *dir) guarded(op func() error) error {
	const lacking = "the file system has neither hard links nor a rename that refuses to replace"
	if known, err := d.facts(); err != nil {
		return err
	} else if !known.Local {
		return fmt.Errorf("%s, and other machines may reach it: %w", lacking, errors.ErrUnsupported)
	}
	for try := range guardTries {
		if try > 0 {
			time.Sleep(guardPause)
		}
		fd, err := d.takeGuard()
		switch {
		case err == nil:
			err = op()
			_ = unlinkat(d.fd, guardName)
			// Closing is not enough while a child between fork and exec has it open.
			_ = flock(fd, lockNone)
			_ = closeFD(fd)
			return err
		case err == unix.EWOULDBLOCK:
		case lacksLocks(err):
			return fmt.Errorf("%s, and files cannot be locked: %w", lacking, errors.ErrUnsupported)
		default:
			return err
		}
	}
	return fsys.ErrBusy
}

// takeGuard fails with EWOULDBLOCK if another process has the guard, or has
// just given it back.
func (d *dir) takeGuard() (int, error) {
	fd, err := openat(d.fd, guardName, unix.O_RDWR|unix.O_CREAT|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY, 0o666)
	if isGone(err) { // FUSE: the one before removed it while this one opened it
		err = unix.EWOULDBLOCK
	}
	if err != nil {
		return -1, err
	}
	var st unix.Stat_t
	err = flock(fd, lockExclusive)
	if err == nil {
		err = fstat(fd, &st)
	}
	// The one before removed the file that we have opened: it is no guard.
	if isGone(err) {
		err = unix.EWOULDBLOCK
	}
	if err == nil && !d.is(guardName, idOf(&st)) {
		err = unix.EWOULDBLOCK
	}
	if err == nil && st.Mode&0o666 != 0o666 {
		_ = unix.Fchmod(fd, 0o666) // so that every user's processes can take it
	}
	if err != nil {
		_ = closeFD(fd)
		return -1, err
	}
	return fd, nil
}
