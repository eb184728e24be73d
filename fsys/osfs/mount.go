//go:build unix

package osfs

import (
	"strconv"

	"golang.org/x/sys/unix"
)

// mount returns the device number that stat(2) has for the directory. It names
// a mounted file system in the kernel, which exists until it is unmounted
// everywhere and the last of its files is closed.
func (d *osDir) mount() string {
	var st unix.Stat_t
	for {
		err := unix.Stat(d.path, &st)
		if err == nil {
			return strconv.FormatUint(uint64(st.Dev), 10)
		}
		if err != unix.EINTR {
			return ""
		}
	}
}
