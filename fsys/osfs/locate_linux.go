package osfs

import (
	"strconv"
	"sync/atomic"

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

// knownMount is what was found out about one mount. The kernel never uses such a
// number again, and what type a mounted file system has does not change.
type knownMount struct {
	id  uint64
	dev uint64
	loc fsys.Location
}

var lastMount atomic.Pointer[knownMount]

// locate asks which directory it is, and by which mount it was reached (statx(2),
// STATX_MNT_ID_UNIQUE, Linux 6.8). Another mount than last time, or an older
// kernel, is asked the rest.
func (d *dir) locate() (facts, error) {
	const mask = unix.STATX_INO | unix.STATX_MNT_ID_UNIQUE
	var stx unix.Statx_t
	err := uninterrupted(func() error { return unix.Statx(d.fd, "", unix.AT_EMPTY_PATH, mask, &stx) })
	numbered := err == nil && stx.Mask&mask == mask
	id := fileID{unix.Mkdev(stx.Dev_major, stx.Dev_minor), stx.Ino}
	if m := lastMount.Load(); numbered && m != nil && m.id == stx.Mnt_id && m.dev == id.dev {
		return facts{m.loc, id}, nil
	}
	f, err := d.ask()
	// Some architectures have another form of the number in stat(2).
	if err == nil && f.Type != "" && numbered && f.id == id {
		lastMount.Store(&knownMount{stx.Mnt_id, id.dev, f.Location})
	}
	return f, err
}

func (d *dir) ask() (facts, error) {
	var st unix.Stat_t
	if err := fstat(d.fd, &st); err != nil {
		return facts{}, err
	}
	f := factsOf(idOf(&st))
	var fs unix.Statfs_t
	switch err := uninterrupted(func() error { return unix.Fstatfs(d.fd, &fs) }); err {
	case nil:
		k := kindOf(uint32(fs.Type), f.id.dev)
		f.Local, f.Type, f.Direct = k.local, k.name, k.direct
		return f, nil
	case unix.ENOSYS, unix.EPERM: // a sandbox forbids the question
		return f, nil
	default:
		return facts{}, err
	}
}
