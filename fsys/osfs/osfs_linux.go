package osfs

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
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

// localTypes are the file systems that only this machine's kernel can change
// while it has them mounted (statfs(2), linux/magic.h, and the sources of those
// that are not in it). They live in memory or on a block device, which no two
// machines may mount at once. Of overlayfs the upper directory may be anything,
// but whoever changes it behind a mounted overlay is outside the contract
// (Documentation/filesystems/overlayfs.rst).
//
// Network and cluster file systems (NFS, SMB, Ceph, AFS, OCFS2, GFS2), those
// that a host shares with its guests (9p, vboxsf, virtiofs), and those that
// hide what they stand on (eCryptfs, FUSE) are not among them.
var localTypes = []uint32{
	unix.EXT4_SUPER_MAGIC, // ext2 and ext3, too
	unix.XFS_SUPER_MAGIC,
	unix.BTRFS_SUPER_MAGIC,
	unix.BCACHEFS_SUPER_MAGIC,
	unix.F2FS_SUPER_MAGIC,
	unix.NILFS_SUPER_MAGIC,
	unix.REISERFS_SUPER_MAGIC,
	unix.TMPFS_MAGIC,
	unix.RAMFS_MAGIC,
	unix.OVERLAYFS_SUPER_MAGIC,
	unix.MSDOS_SUPER_MAGIC, // vfat, too
	unix.EXFAT_SUPER_MAGIC,
	unix.UDF_SUPER_MAGIC,
	unix.JFFS2_SUPER_MAGIC,
	0x2fc12fc1, // ZFS
	0x3153464a, // JFS
	0x24051905, // UBIFS
	0x7366746e, // NTFS, by the driver ntfs3
	0x482b,     // HFS+
}

func (d *osDir) isLocal() (bool, error) {
	var fs unix.Statfs_t
	switch err := statfs(d.path, &fs); err {
	case nil:
	case unix.ENOSYS, unix.EPERM: // a sandbox forbids the question
		return false, nil
	default:
		return false, err
	}
	if uint32(fs.Type) != unix.FUSE_SUPER_MAGIC {
		return slices.Contains(localTypes, uint32(fs.Type)), nil
	}
	var st unix.Stat_t
	if err := lstat(d.path, &st); err != nil {
		return false, err
	}
	mounts, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return false, nil // Nobody tells, so it is not known to be local.
	}
	defer mounts.Close()
	return fuseOnDevice(mounts, uint64(st.Dev)), nil
}

// fuseOnDevice reports whether the mount of that device is a FUSE file system
// on a block device of this machine, by the text of /proc/PID/mountinfo (see
// proc_pid_mountinfo(5)): the third field is the device, and the type comes
// after a lone hyphen.
func fuseOnDevice(mountinfo io.Reader, dev uint64) bool {
	want := fmt.Sprintf("%d:%d", unix.Major(dev), unix.Minor(dev))
	for lines := bufio.NewScanner(mountinfo); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 3 || fields[2] != want {
			continue
		}
		hyphen := slices.Index(fields, "-")
		return hyphen >= 0 && hyphen+1 < len(fields) && fields[hyphen+1] == "fuseblk"
	}
	return false
}

func statfs(path string, st *unix.Statfs_t) error {
	for {
		if err := unix.Statfs(path, st); err != unix.EINTR {
			return err
		}
	}
}
