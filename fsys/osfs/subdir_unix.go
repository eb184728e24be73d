//go:build unix

package osfs

import (
	"io/fs"

	"golang.org/x/sys/unix"

	"github.com/dirlock/dirlock/fsys"
)

var _ fsys.Nester = (*named)(nil)

const permissions = 0o1777

func mkdirat(at int, name string, mode uint32) error {
	return uninterrupted(func() error { return unix.Mkdirat(at, name, mode) })
}

// makeDir makes a directory, and then corrects what the umask has taken from it,
// and the group: the next process may be that of another user.
func (d *dir) makeDir(name string) error {
	var parent, made unix.Stat_t
	if err := fstat(d.fd, &parent); err != nil {
		return err
	}
	if err := mkdirat(d.fd, name, uint32(parent.Mode)&permissions); err != nil {
		return err
	}
	err := fstatat(d.fd, name, &made, unix.AT_SYMLINK_NOFOLLOW)
	if err == nil && !sharedAlike(&parent, &made) {
		err = d.shareDir(name, &parent, &made)
	}
	if err == nil || isGone(err) || err == unix.EPERM || lacks(err) {
		return nil // it is another one's by now, or the file system has one mode for all
	}
	_ = d.removeDir(name)
	return err
}

// sharedAlike tells whether those who may make files in one directory may do so
// in the other one.
func sharedAlike(a, b *unix.Stat_t) bool {
	return a.Mode&permissions == b.Mode&permissions && (a.Mode&0o002 != 0 || a.Uid == b.Uid && a.Gid == b.Gid)
}

// shareDir gives a new directory the owner, the group and the permissions of its
// parent, as far as this process may.
func (d *dir) shareDir(name string, parent, made *unix.Stat_t) error {
	mode := uint32(parent.Mode) & permissions
	fd, err := openat(d.fd, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err == unix.EACCES { // the umask takes the right to read it
		return uninterrupted(func() error {
			return unix.Fchmodat(d.fd, name, mode, unix.AT_SYMLINK_NOFOLLOW)
		})
	}
	if err != nil {
		return err
	}
	defer func() { _ = closeFD(fd) }()
	if parent.Uid != made.Uid || parent.Gid != made.Gid {
		if unix.Fchown(fd, int(parent.Uid), int(parent.Gid)) != nil {
			_ = unix.Fchown(fd, -1, int(parent.Gid))
		}
	}
	return fchmod(fd, mode)
}

func (d *dir) openDir(name string) (*dir, error) {
	fd, err := openDirectory(d.fd, name, unix.O_NOFOLLOW)
	switch {
	case err == nil:
		return &dir{handle: handle{fd, d.sub(name)}}, nil
	case err == unix.ENOENT || err == unix.ESTALE:
		return nil, fs.ErrNotExist
	case err == unix.ENOTDIR || err == unix.ELOOP: // whatever it is by now
		return nil, fsys.ErrNotDirectory
	}
	var st unix.Stat_t
	if fstatat(d.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW) == nil && st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return nil, fsys.ErrNotDirectory
	}
	return nil, err
}

func (d *dir) removeDir(name string) error {
	err := uninterrupted(func() error { return unix.Unlinkat(d.fd, name, unix.AT_REMOVEDIR) })
	switch {
	case err == nil || err == unix.ENOENT:
		return err
	case err == unix.ENOTEMPTY || err == unix.EEXIST: // one error on some systems
		return fsys.ErrNotEmpty
	case err == unix.ENOTDIR || err == unix.ELOOP:
		return fsys.ErrNotDirectory
	}
	var st unix.Stat_t
	if !refused(err) && isGone(fstatat(d.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW)) {
		return nil
	}
	return err
}

func (d *dir) stillNamed(name string, sub *dir) (bool, error) {
	known, err := sub.facts()
	if err != nil {
		return false, err
	}
	var st unix.Stat_t
	switch err := fstatat(d.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW); {
	case isGone(err):
		return false, nil
	case err != nil:
		return false, err
	}
	return idOf(&st) == known.id, nil
}

// missingDir says that a directory does not exist which a server has forgotten.
func missingDir(err error) error {
	if err == unix.ESTALE {
		return unix.ENOENT
	}
	return err
}

func (n *named) MakeDir(name string) error {
	_, err := in(n, "mkdir", n.prefix+name, func(d *dir) (struct{}, error) { return struct{}{}, d.MakeDir(name) })
	return err
}

func (n *named) RemoveDir(name string) error {
	_, err := in(n, "rmdir", n.prefix+name, func(d *dir) (struct{}, error) { return struct{}{}, d.RemoveDir(name) })
	return err
}

// OpenDir keeps the directory open in which it found the other one.
func (n *named) OpenDir(name string) (fsys.Subdir, error) {
	d, err := n.open()
	if err != nil {
		return nil, pathError("open", n.prefix+name, err)
	}
	s, err := d.openSubdir(name)
	if err != nil {
		_ = d.Close()
		return nil, err
	}
	s.owned = true
	return s, nil
}
