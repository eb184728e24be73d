package osfs

import (
	"strings"
	"time"

	"golang.org/x/sys/windows"

	"github.com/dirlock/dirlock/fsys"
)

const shareAll = windows.FILE_SHARE_READ | windows.FILE_SHARE_WRITE | windows.FILE_SHARE_DELETE

// regular fails with ErrNotRegular unless h is a plain file.
func regular(h windows.Handle) (*windows.ByHandleFileInformation, error) {
	if kind, err := windows.GetFileType(h); err != nil {
		return nil, err
	} else if kind != windows.FILE_TYPE_DISK {
		return nil, fsys.ErrNotRegular
	}
	var info windows.ByHandleFileInformation
	if err := windows.GetFileInformationByHandle(h, &info); err != nil {
		return nil, err
	}
	switch info.FileAttributes & (windows.FILE_ATTRIBUTE_DIRECTORY | windows.FILE_ATTRIBUTE_REPARSE_POINT) {
	case 0:
	case windows.FILE_ATTRIBUTE_DIRECTORY:
		return nil, fsys.ErrDirectory
	default:
		return nil, fsys.ErrNotRegular
	}
	return &info, nil
}

func fileIndex(info *windows.ByHandleFileInformation) fileID {
	return fileID{
		uint64(info.VolumeSerialNumber),
		uint64(info.FileIndexHigh)<<32 | uint64(info.FileIndexLow),
	}
}

// openHandle opens the file itself, were it a link or a directory.
func openHandle(path string, access, disposition uint32) (windows.Handle, error) {
	name, err := windows.UTF16PtrFromString(longPath(path))
	if err != nil {
		return windows.InvalidHandle, err
	}
	h := windows.InvalidHandle
	err = retry(func() (err error) {
		h, err = windows.CreateFile(name, access, shareAll, nil, disposition,
			windows.FILE_ATTRIBUTE_NORMAL|windows.FILE_FLAG_OPEN_REPARSE_POINT|windows.FILE_FLAG_BACKUP_SEMANTICS, 0)
		return err
	})
	return h, err
}

const (
	retryTries = 20
	retryPause = 5 * time.Millisecond
)

// retry does something again that failed because a virus scanner or an indexer
// has the file open, or a removed file is not gone yet. That a right is missing
// looks the same, and is believed after retryTries.
func retry(op func() error) error {
	for range retryTries - 1 {
		switch err := op(); err {
		case windows.ERROR_SHARING_VIOLATION, windows.ERROR_ACCESS_DENIED, windows.ERROR_DELETE_PENDING:
			time.Sleep(retryPause)
		default:
			return err
		}
	}
	return op()
}

// lacks reports whether err says that the file system, or this version of the
// system, does not have the operation.
func lacks(err error) bool {
	switch err {
	case windows.ERROR_INVALID_FUNCTION, windows.ERROR_NOT_SUPPORTED, windows.ERROR_INVALID_PARAMETER,
		windows.ERROR_CALL_NOT_IMPLEMENTED, windows.ERROR_INVALID_LEVEL:
		return true
	}
	return false
}

// longPath makes an absolute path one that may be longer than MAX_PATH, and in
// which no name stands for a device.
func longPath(path string) string {
	switch {
	case strings.HasPrefix(path, `\\?\`) || strings.HasPrefix(path, `\\.\`):
		return path
	case strings.HasPrefix(path, `\\`):
		return `\\?\UNC\` + path[2:]
	}
	return `\\?\` + path
}
