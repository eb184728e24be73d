package osfs

import "golang.org/x/sys/unix"

func statLocal(path string) (local bool, fstype string, err error) {
	var st unix.Statfs_t
	for {
		if err = unix.Statfs(path, &st); err != unix.EINTR {
			break
		}
	}
	return st.F_flags&unix.MNT_LOCAL != 0, typeName(st.F_fstypename[:]), err
}
