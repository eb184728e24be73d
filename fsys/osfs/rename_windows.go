package osfs

import (
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

// replace renames over a file that others may have open: in the way of POSIX
// where the file system has it (NTFS since Windows 10 1607).
func (d *dir) replace(oldname, newname string) error {
	oldpath, newpath := d.prefix+oldname, d.prefix+newname
	h, err := openHandle(oldpath, windows.DELETE|windows.SYNCHRONIZE, windows.OPEN_EXISTING)
	if err != nil {
		return err
	}
	err = retry(func() error { return renamePOSIX(h, newpath) })
	windows.CloseHandle(h)
	if err != nil && lacks(err) {
		err = move(oldpath, newpath, windows.MOVEFILE_REPLACE_EXISTING)
	}
	return err
}

func renamePOSIX(h windows.Handle, newpath string) error {
	name, err := windows.UTF16FromString(longPath(newpath))
	if err != nil {
		return err
	}
	// FILE_RENAME_INFO (winbase.h).
	type renameInfo struct {
		flags  uint32
		root   windows.Handle
		length uint32 // of the name, in bytes, without its end
		name   [1]uint16
	}
	size := unsafe.Offsetof(renameInfo{}.name) + 2*uintptr(len(name))
	buf := make([]uint64, (size+7)/8) // of 64-bit words for the alignment
	info := (*renameInfo)(unsafe.Pointer(&buf[0]))
	info.flags = windows.FILE_RENAME_REPLACE_IF_EXISTS | windows.FILE_RENAME_POSIX_SEMANTICS |
		windows.FILE_RENAME_IGNORE_READONLY_ATTRIBUTE
	info.length = uint32(2 * (len(name) - 1))
	copy(unsafe.Slice(&info.name[0], len(name)), name)
	return windows.SetFileInformationByHandle(h, windows.FileRenameInfoEx,
		(*byte)(unsafe.Pointer(&buf[0])), uint32(size))
}

// remove frees the name at once, although the owner of the file has it open.
// Where the file system has no such removal, the name stays taken until the
// last handle is closed: then the file is renamed out of the way first.
func (d *dir) remove(name string) error { return removePath(d.prefix + name) }

func removePath(path string) error {
	h, err := openHandle(path, windows.DELETE|windows.FILE_READ_ATTRIBUTES|windows.SYNCHRONIZE, windows.OPEN_EXISTING)
	if err != nil {
		return err
	}
	var info windows.ByHandleFileInformation
	err = windows.GetFileInformationByHandle(h, &info)
	if err == nil && info.FileAttributes&windows.FILE_ATTRIBUTE_DIRECTORY != 0 {
		err = syscall.EISDIR
	}
	if err == nil {
		flags := uint32(windows.FILE_DISPOSITION_DELETE | windows.FILE_DISPOSITION_POSIX_SEMANTICS |
			windows.FILE_DISPOSITION_IGNORE_READONLY_ATTRIBUTE)
		err = retry(func() error {
			return windows.SetFileInformationByHandle(h, windows.FileDispositionInfoEx,
				(*byte)(unsafe.Pointer(&flags)), uint32(unsafe.Sizeof(flags)))
		})
	}
	windows.CloseHandle(h)
	if err == nil || !lacks(err) {
		return err
	}
	dir := path[:strings.LastIndexByte(path, '\\')+1]
	away := dir + tempName()
	if err := move(path, away, 0); err != nil {
		return err
	}
	name, err := windows.UTF16PtrFromString(longPath(away))
	if err != nil {
		return err
	}
	return retry(func() error { return windows.DeleteFile(name) })
}

func move(oldpath, newpath string, flags uint32) error {
	from, err := windows.UTF16PtrFromString(longPath(oldpath))
	if err != nil {
		return err
	}
	to, err := windows.UTF16PtrFromString(longPath(newpath))
	if err != nil {
		return err
	}
	return retry(func() error { return windows.MoveFileEx(from, to, flags) })
}
