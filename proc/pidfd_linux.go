package proc

import (
	"os"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// life is what the kernel says about a PID without procfs.
type life uint8

const (
	none    life = iota // no process has this PID
	ended               // a process has it, and none of its threads runs
	running             // a process has it, and a thread of it runs
	exists              // something has it: a process, a zombie, or a thread
)

// kernelState asks the kernel about a process. A pidfd (pidfd_open(2), Linux
// 5.3) knows whether all threads have ended. Without one, kill(2) with signal 0,
// which sends nothing, tells only whether anything has that number.
func kernelState(pid int) life {
	fd, err := pidfdOpen(pid)
	switch err {
	case nil:
		defer unix.Close(fd)
		if hasEnded(fd) {
			return ended
		}
		return running
	case unix.ESRCH:
		return none
	}
	if err := unix.Kill(pid, 0); err == unix.ESRCH {
		return none
	}
	return exists // EPERM too: it exists, but we may not signal it
}

// pidfdOpen opens a pidfd, which is closed on execve(2). It returns ESRCH if no
// process has the PID.
//
// The number may still be in use for a thread, a process group or a session.
// Then the kernel says EINVAL before Linux 6.16, and since then ENOENT for a
// thread and ESRCH for the others (seen on 6.18). All are ESRCH here: PIDs and
// thread IDs are numbers of one set, so no process has this one (pidfd_open(2),
// fork(2)). A sandbox may answer every call with any error, so EINVAL and ENOENT
// count only if the call works for this process itself.
func pidfdOpen(pid int) (int, error) {
	if runtime.GOOS == "android" {
		return -1, unix.ENOSYS // the sandbox of an app may kill the caller
	}
	fd, err := retry(func() (int, error) { return unix.PidfdOpen(pid, 0) })
	if err == unix.EINVAL || err == unix.ENOENT {
		self, selfErr := unix.PidfdOpen(os.Getpid(), 0)
		if selfErr != nil {
			return -1, err
		}
		unix.Close(self)
		return -1, unix.ESRCH
	}
	return fd, err
}

// hasEnded reports whether all threads of a pidfd's process have ended, reaped or
// not: only then is the pidfd readable (pidfd_open(2)).
//
// There is an exception. When another thread than the first executes a program,
// it takes the place of the first. A poll that found the first thread just before
// that may take it for the last one, and call the pidfd readable (seen on Linux
// 6.18, about once in a thousand such execs). A second poll finds the new thread.
func hasEnded(pidfd int) bool {
	for range 2 {
		if !readable(pidfd) {
			return false
		}
	}
	return true
}

func readable(pidfd int) bool {
	p := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
	n, err := retry(func() (int, error) { return unix.Poll(p, 0) })
	return err == nil && n == 1 && p[0].Revents&unix.POLLIN != 0
}

// unique returns the inode number of a pidfd, or "" if that says nothing.
//
// Since Linux 6.9 a pidfd is a file of pidfs. The kernel counts up when it makes
// a process, and gives no number twice during one boot: the inode number names
// the process, also in other PID namespaces, and stays over execve(2)
// (fs/pidfs.c). Before, all pidfds were one and the same inode of another
// file system.
//
// The count has 64 bits, but an inode number on a 32-bit kernel has only the
// lower 32 of them and comes around. A 32-bit program does not know which kernel
// it runs on, so it has no Unique.
func unique(pidfd int) string {
	if strconv.IntSize < 64 {
		return ""
	}
	var fs unix.Statfs_t
	if _, err := retry(func() (int, error) { return 0, unix.Fstatfs(pidfd, &fs) }); err != nil || int64(fs.Type) != unix.PID_FS_MAGIC {
		return ""
	}
	var file unix.Stat_t
	if _, err := retry(func() (int, error) { return 0, unix.Fstat(pidfd, &file) }); err != nil {
		return ""
	}
	return strconv.FormatUint(file.Ino, 10)
}
