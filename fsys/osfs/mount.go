//go:build unix

package osfs

import (
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/dirlock/dirlock/fsys"
)

var _ fsys.Mounter = (*osDir)(nil)

// Mount returns the device number that stat(2) has for the directory. It names
// a mounted file system in the kernel, which exists until it is unmounted
// everywhere and the last of its files is closed.
func (d *osDir) Mount() (string, error) {
	var st unix.Stat_t
	for {
		err := unix.Stat(d.path, &st)
		if err == nil {
			return strconv.FormatUint(uint64(st.Dev), 10), nil
		}
		if err != unix.EINTR {
			return "", pathError("mount", d.path, err)
		}
	}
}
