package osfs

import (
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/dirlock/dirlock/fsys"
)

// A kind of file system, by what only a list can tell of it.
type fsKind struct {
	name   string
	local  bool
	direct bool
}

// kinds are file systems by their numbers (statfs(2), linux/magic.h, and the
// sources of those that are not in it).
//
// Local are those that only this machine's kernel can change while it has them
// mounted: they live in memory or on a block device, which no two machines may
// mount at once. Of overlayfs the upper directory may be anything, but whoever
// changes it behind a mounted overlay is outside the contract
// (Documentation/filesystems/overlayfs.rst). Network and cluster file systems,
// those that a host shares with its guests, and those that hide what they stand
// on are not. Direct are the local ones but for overlayfs, whose files are files
// of other mounts as well.
var kinds = map[uint32]fsKind{
	unix.EXT4_SUPER_MAGIC:     {"ext4", true, true}, // ext2 and ext3, too
	unix.XFS_SUPER_MAGIC:      {"xfs", true, true},
	unix.BTRFS_SUPER_MAGIC:    {"btrfs", true, true},
	unix.BCACHEFS_SUPER_MAGIC: {"bcachefs", true, true},
	unix.F2FS_SUPER_MAGIC:     {"f2fs", true, true},
	unix.NILFS_SUPER_MAGIC:    {"nilfs2", true, true},
	unix.REISERFS_SUPER_MAGIC: {"reiserfs", true, true},
	unix.TMPFS_MAGIC:          {"tmpfs", true, true},
	unix.RAMFS_MAGIC:          {"ramfs", true, true},
	unix.MSDOS_SUPER_MAGIC:    {"vfat", true, true}, // msdos, too
	unix.EXFAT_SUPER_MAGIC:    {"exfat", true, true},
	unix.UDF_SUPER_MAGIC:      {"udf", true, true},
	unix.JFFS2_SUPER_MAGIC:    {"jffs2", true, true},
	0x2fc12fc1:                {"zfs", true, true},
	0x3153464a:                {"jfs", true, true},
	0x24051905:                {"ubifs", true, true},
	0x7366746e:                {"ntfs3", true, true},
	0x482b:                    {"hfsplus", true, true},

	unix.OVERLAYFS_SUPER_MAGIC: {"overlay", true, false},

	unix.FUSE_SUPER_MAGIC:     {name: "fuse"}, // or fuseblk: see kindOf
	unix.NFS_SUPER_MAGIC:      {name: "nfs"},
	unix.SMB_SUPER_MAGIC:      {name: "smb"},
	unix.SMB2_SUPER_MAGIC:     {name: "smb2"},
	unix.CIFS_SUPER_MAGIC:     {name: "cifs"},
	unix.CEPH_SUPER_MAGIC:     {name: "ceph"},
	unix.AFS_SUPER_MAGIC:      {name: "afs"},
	unix.OCFS2_SUPER_MAGIC:    {name: "ocfs2"},
	0x01161970:                {name: "gfs2"},
	unix.V9FS_MAGIC:           {name: "9p"},
	unix.ECRYPTFS_SUPER_MAGIC: {name: "ecryptfs"},
	0x786f4256:                {name: "vboxsf"},
}

// kindOf returns what is known of a file system with that number, whose files
// are on that device. FUSE on a block device has that device's number. Every
// other FUSE has one without a major part, as have all file systems that are not
// on a device (Documentation/admin-guide/devices.txt, major 0).
func kindOf(magic uint32, dev uint64) fsKind {
	k, ok := kinds[magic]
	switch {
	case !ok:
		return fsKind{name: "0x" + strconv.FormatUint(uint64(magic), 16)}
	case magic == unix.FUSE_SUPER_MAGIC && unix.Major(dev) != 0:
		return fsKind{name: "fuseblk", local: true}
	}
	return k
}

func (d *dir) locate() (facts, error) {
	var st unix.Stat_t
	if err := fstat(d.fd, &st); err != nil {
		return facts{}, err
	}
	f := factsOf(&st)
	var fs unix.Statfs_t
	switch err := uninterrupted(func() error { return unix.Fstatfs(d.fd, &fs) }); err {
	case nil:
		k := kindOf(uint32(fs.Type), f.id.dev)
		f.Location = fsys.Location{Local: k.local, Type: k.name, Mount: f.Mount, Direct: k.direct}
		return f, nil
	case unix.ENOSYS, unix.EPERM: // a sandbox forbids the question
		return f, nil
	default:
		return facts{}, err
	}
}
