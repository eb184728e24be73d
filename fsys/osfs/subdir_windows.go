package osfs

import (
	"errors"
	"io/fs"
	"unsafe"

	"golang.org/x/sys/windows"

	"github.com/dirlock/dirlock/fsys"
)

// makeDir lets the new directory inherit the permissions of d, as all new ones do.
func (d *dir) makeDir(name string) error {
	path, err := windows.UTF16PtrFromString(longPath(d.prefix + name))
	if err != nil {
		return err
	}
	return retry(func() error { return windows.CreateDirectory(path, nil) })
}

// openDir only finds the directory: all goes by the path.
func (d *dir) openDir(name string) (*dir, error) {
	h, _, err := openSub(d.prefix+name, windows.FILE_READ_ATTRIBUTES)
	if err != nil {
		return nil, err
	}
	windows.CloseHandle(h)
	return &dir{}, nil
}

// openSub opens a directory, and no link to one.
func openSub(path string, access uint32) (windows.Handle, fileID, error) {
	h, err := openHandle(path, access, windows.OPEN_EXISTING)
	if err != nil {
		return windows.InvalidHandle, fileID{}, err
	}
	var info windows.ByHandleFileInformation
	err = windows.GetFileInformationByHandle(h, &info)
	const kinds = windows.FILE_ATTRIBUTE_DIRECTORY | windows.FILE_ATTRIBUTE_REPARSE_POINT
	if err == nil && info.FileAttributes&kinds != windows.FILE_ATTRIBUTE_DIRECTORY {
		err = fsys.ErrNotDirectory
	}
	if err != nil {
		windows.CloseHandle(h)
		return windows.InvalidHandle, fileID{}, err
	}
	return h, fileIndex(&info), nil
}

// removeDir removes the directory at once, although others may have it open.
func (d *dir) removeDir(name string) error {
	path := d.prefix + name
	h, _, err := openSub(path, windows.DELETE|windows.FILE_READ_ATTRIBUTES|windows.SYNCHRONIZE)
	if err != nil {
		return err
	}
	flags := uint32(windows.FILE_DISPOSITION_DELETE | windows.FILE_DISPOSITION_POSIX_SEMANTICS)
	err = retry(func() error {
		return windows.SetFileInformationByHandle(h, windows.FileDispositionInfoEx,
			(*byte)(unsafe.Pointer(&flags)), uint32(unsafe.Sizeof(flags)))
	})
	windows.CloseHandle(h)
	if err != nil && lacks(err) {
		var text *uint16
		if text, err = windows.UTF16PtrFromString(longPath(path)); err == nil {
			err = retry(func() error { return windows.RemoveDirectory(text) })
		}
	}
	if err == windows.ERROR_DIR_NOT_EMPTY {
		return fsys.ErrNotEmpty
	}
	return err
}

// stillNamed goes by the path, as everything here does: a directory that was
// replaced by another one is not noticed by that, but its files are.
func (d *dir) stillNamed(name string, _ *dir) (bool, error) {
	h, _, err := openSub(d.prefix+name, windows.FILE_READ_ATTRIBUTES)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fsys.ErrNotDirectory) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	windows.CloseHandle(h)
	return true, nil
}

// missingDir says that a directory does not exist if it is a file by now, too.
func missingDir(err error) error {
	if err == windows.ERROR_DIRECTORY {
		return windows.ERROR_PATH_NOT_FOUND
	}
	return err
}
