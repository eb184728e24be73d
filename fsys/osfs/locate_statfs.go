//go:build darwin || dragonfly || freebsd

package osfs

import "golang.org/x/sys/unix"

func statLocal(fd int) (local bool, fstype string, err error) {
	var st unix.Statfs_t
	err = uninterrupted(func() error { return unix.Fstatfs(fd, &st) })
	return st.Flags&unix.MNT_LOCAL != 0, typeName(st.Fstypename[:]), err
}
