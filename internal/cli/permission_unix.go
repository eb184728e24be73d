//go:build unix

package cli

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// permissionHint says what to do about a directory that this user may not use.
func permissionHint(dir string) string {
	parent := "" // the highest one that this user may not pass
	for up := filepath.Dir(filepath.Clean(dir)); ; up = filepath.Dir(up) {
		if unix.Access(up, unix.X_OK) != nil {
			parent = up
		}
		if up == filepath.Dir(up) {
			break
		}
	}
	info, err := os.Stat(dir)
	switch {
	case parent != "":
		return fmt.Sprintf("this user may not pass through %s: its owner can allow it with chmod +x", parent)
	case err != nil:
		return "use a directory that this user may read and write"
	case unix.Access(dir, unix.R_OK|unix.W_OK|unix.X_OK) != nil:
		return fmt.Sprintf("this user needs the permissions rwx on the directory, which has %s", info.Mode().Perm())
	case info.Mode()&fs.ModeSticky != 0:
		return "the directory is sticky (like /tmp), where nobody may remove the lock file of another user: use a directory of its own, without the sticky bit"
	}
	return "look at the owner and the permissions of the files L0, L1 and so on in the directory"
}
