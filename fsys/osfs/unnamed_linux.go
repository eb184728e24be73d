package osfs

import (
	"strconv"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// openUnnamed opens a file that has no name and vanishes when it is closed
// (open(2), O_TMPFILE, Linux 3.11).
func openUnnamed(at int) (int, error) {
	fd, err := openat(at, ".", unix.O_RDWR|unix.O_TMPFILE, 0o644)
	// EPERM: the directory was removed, on some file systems. EISDIR: an old kernel.
	if lacks(err) || err == unix.EISDIR || err == unix.EPERM {
		return -1, errMissing
	}
	return fd, err
}

// byProc is set when the kernel was found to link an unnamed file in by way of
// /proc only: the direct way is open to whoever opened the file since Linux
// 6.10, before that to those with CAP_DAC_READ_SEARCH (open(2), linkat(2)).
var byProc atomic.Bool

func linkUnnamed(fd, at int, name string) error {
	if !byProc.Load() {
		err := linkat(fd, "", at, name, unix.AT_EMPTY_PATH)
		if err != unix.ENOENT {
			return orMissing(err)
		}
	}
	link := procPath(fd)
	err := linkat(unix.AT_FDCWD, link, at, name, unix.AT_SYMLINK_FOLLOW)
	var st unix.Stat_t
	switch {
	case err == nil:
		byProc.Store(true)
	case err == unix.ENOENT && fstatat(unix.AT_FDCWD, link, &st, unix.AT_SYMLINK_NOFOLLOW) != nil:
		return errMissing // No /proc: the directory is there, as far as we know.
	}
	return orMissing(err)
}

// procPath is the name by which a process finds what it has open.
func procPath(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }

// openAgain opens a file a second time.
func openAgain(fd int) (int, error) {
	return openat(unix.AT_FDCWD, procPath(fd), unix.O_RDONLY, 0)
}

func orMissing(err error) error {
	// EPERM, EACCES: no links on this file system, or none by this process's
	// security policy. EXDEV: the name is on another file system.
	if lacks(err) || err == unix.EPERM || err == unix.EACCES || err == unix.EXDEV {
		return errMissing
	}
	return err
}

func linkat(olddir int, oldpath string, newdir int, newpath string, flags int) error {
	return uninterrupted(func() error { return unix.Linkat(olddir, oldpath, newdir, newpath, flags) })
}

// renameNew renames without replacing (rename(2), Linux 3.15).
func renameNew(at int, oldname, newname string) error {
	return uninterrupted(func() error {
		return unix.Renameat2(at, oldname, at, newname, unix.RENAME_NOREPLACE)
	})
}
