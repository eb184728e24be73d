package osfs

import "golang.org/x/sys/unix"

// renameNew renames without replacing (renamex_np(2), macOS 10.12).
func renameNew(oldpath, newpath string) error {
	for {
		err := unix.RenamexNp(oldpath, newpath, unix.RENAME_EXCL)
		if err != unix.EINTR {
			return err
		}
	}
}
