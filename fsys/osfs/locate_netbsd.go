package osfs

import "golang.org/x/sys/unix"

// statLocal goes by fstatvfs(2).
func statLocal(fd int) (local bool, fstype string, err error) {
	var st unix.Statvfs_t
	err = uninterrupted(func() error { return unix.Fstatvfs(fd, &st) })
	return st.Flag&unix.MNT_LOCAL != 0, typeName(st.Fstypename[:]), err
}
