//go:build darwin || dragonfly || freebsd || openbsd || netbsd

package osfs

import (
	"slices"

	"golang.org/x/sys/unix"
)

// localTypes are the file systems that only this machine's kernel can change
// while it has them mounted, if they are also flagged as local (statfs(2),
// MNT_LOCAL): in memory, or on a disk. FreeBSD's nullfs passes the flag of what
// it shows on. FUSE and the directories that a host shares with its guests have
// the flag on some systems, and are left out.
var localTypes = []string{
	"apfs", "hfs", // macOS
	"ufs", "ffs", "lfs", "zfs", "hammer", "hammer2", // the BSDs
	"tmpfs", "mfs", nullfs,
	"msdos", "msdosfs", "exfat", "ext2fs", "udf",
}

// nullfs shows files of other mounts.
const nullfs = "nullfs"

func (d *dir) locate() (facts, error) {
	var st unix.Stat_t
	if err := fstat(d.fd, &st); err != nil {
		return facts{}, err
	}
	local, fstype, err := statLocal(d.fd)
	if err != nil {
		return facts{}, err
	}
	f := factsOf(idOf(&st))
	f.Type = fstype
	f.Local = local && slices.Contains(localTypes, fstype)
	f.Direct = f.Local && fstype != nullfs
	return f, nil
}

// typeName is the name of a file system, which ends at a zero byte.
func typeName(name []byte) string { return unix.ByteSliceToString(name) }
