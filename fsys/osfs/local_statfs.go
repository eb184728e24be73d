//go:build darwin || dragonfly || freebsd

package osfs

import "golang.org/x/sys/unix"

func statLocal(path string) (local bool, fstype string, err error) {
	var st unix.Statfs_t
	for {
		if err = unix.Statfs(path, &st); err != unix.EINTR {
			break
		}
	}
	return st.Flags&unix.MNT_LOCAL != 0, typeName(st.Fstypename[:]), err
}
