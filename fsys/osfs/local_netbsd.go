package osfs

import "golang.org/x/sys/unix"

// NetBSD tells by statvfs(2).
func statLocal(path string) (local bool, fstype string, err error) {
	var st unix.Statvfs_t
	for {
		if err = unix.Statvfs(path, &st); err != unix.EINTR {
			break
		}
	}
	return st.Flag&unix.MNT_LOCAL != 0, typeName(st.Fstypename[:]), err
}
