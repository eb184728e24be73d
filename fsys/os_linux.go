package fsys

import (
	"strconv"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// openUnnamed opens a file that has no name and vanishes when it is closed
// (open(2), O_TMPFILE, Linux 3.11).
func openUnnamed(dir string) (int, error) {
	fd, err := open(dir, unix.O_RDWR|unix.O_TMPFILE, 0o644)
	if lacks(err) || err == unix.EISDIR {
		return -1, errMissing
	}
	return fd, err
}

// byProc is set when the kernel was found to link an unnamed file in by way of
// /proc only: the direct way is open to whoever opened the file since Linux
// 6.10, before that to those with CAP_DAC_READ_SEARCH (open(2), linkat(2)).
var byProc atomic.Bool

func linkUnnamed(fd int, path string) error {
	if !byProc.Load() {
		err := linkat(fd, "", unix.AT_FDCWD, path, unix.AT_EMPTY_PATH)
		if err != unix.ENOENT {
			return orMissing(err)
		}
	}
	err := linkat(unix.AT_FDCWD, "/proc/self/fd/"+strconv.Itoa(fd), unix.AT_FDCWD, path, unix.AT_SYMLINK_FOLLOW)
	switch err {
	case nil:
		byProc.Store(true)
	case unix.ENOENT:
		// No /proc, or no directory: the next way finds out.
		return errMissing
	}
	return orMissing(err)
}

func orMissing(err error) error {
	// EPERM, EACCES: no links on this file system, or none by this process's
	// security policy. EXDEV: the name is on another file system by now.
	if lacks(err) || err == unix.EPERM || err == unix.EACCES {
		return errMissing
	}
	return err
}

func linkat(olddir int, oldpath string, newdir int, newpath string, flags int) error {
	for {
		if err := unix.Linkat(olddir, oldpath, newdir, newpath, flags); err != unix.EINTR {
			return err
		}
	}
}

// renameNew renames without replacing (rename(2), Linux 3.15).
func renameNew(oldpath, newpath string) error {
	for {
		err := unix.Renameat2(unix.AT_FDCWD, oldpath, unix.AT_FDCWD, newpath, unix.RENAME_NOREPLACE)
		if err != unix.EINTR {
			return err
		}
	}
}

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

func (d *osDir) isLocal() (bool, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(d.path, &st); err != nil {
		return false, err
	}
	switch uint32(st.Type) {
	case unix.EXT4_SUPER_MAGIC, unix.TMPFS_MAGIC:
		return true, nil
	}
	return false, nil
}
