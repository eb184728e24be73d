package osfs

import "golang.org/x/sys/unix"

// renameNew renames without replacing (renameatx_np(2), macOS 10.12).
func renameNew(at int, oldname, newname string) error {
	return uninterrupted(func() error {
		return unix.RenameatxNp(at, oldname, at, newname, unix.RENAME_EXCL)
	})
}
