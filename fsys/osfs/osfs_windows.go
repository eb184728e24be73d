package osfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"

	"github.com/dirlock/dirlock/fsys"
)

const osSupported = true

//lint:ignore U1000 it is embedded: other systems have fields here
type osState struct{}

// osFile is a published file. Its handle is not inherited by child processes,
// and lets others read, rename and delete the file.
type osFile struct {
	d    *osDir
	data string
	id   [2]uint64 // volume and index

	mu sync.Mutex
	h  windows.Handle // InvalidHandle when closed
}

const shareAll = windows.FILE_SHARE_READ | windows.FILE_SHARE_WRITE | windows.FILE_SHARE_DELETE

// create writes a temporary file, and renames it to its name, which the system
// refuses to do if that is taken.
func (d *osDir) create(path string, data []byte) (*osFile, error) {
	for range attempts {
		temp := d.tempName()
		h, err := openHandle(temp, windows.GENERIC_READ|windows.GENERIC_WRITE, windows.CREATE_NEW)
		if err != nil {
			return nil, err
		}
		f := &osFile{d: d, h: h}
		if err = f.fill(data); err == nil {
			err = move(temp, path, 0)
		}
		if err == nil {
			return f, nil
		}
		remove(temp)
		f.Close()
		// The sweep of another process removes a temporary file that it saw
		// before it was locked.
		if err != errSwept && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return nil, errSwept
}

// attempts bounds how often Create starts again after a sweep.
const attempts = 100

var errSwept = errors.New("temporary file was swept away")

func (f *osFile) fill(data []byte) error {
	if err := f.takeWitness(); err != nil {
		return err
	}
	for rest := data; len(rest) > 0; {
		var n uint32
		if err := windows.WriteFile(f.h, rest, &n, nil); err != nil {
			return err
		}
		rest = rest[n:]
	}
	f.data = string(data)
	var info windows.ByHandleFileInformation
	if err := windows.GetFileInformationByHandle(f.h, &info); err != nil {
		return err
	}
	f.id = fileIndex(&info)
	return nil
}

func (f *osFile) takeWitness() error {
	yes, known := f.d.witness.known()
	if known && !yes {
		return nil
	}
	err := lockByte(f.h, windows.LOCKFILE_EXCLUSIVE_LOCK)
	switch {
	case err == nil:
		f.d.witness.set(true)
		return nil
	case err == windows.ERROR_LOCK_VIOLATION:
		return errSwept
	case !known && lacks(err):
		f.d.witness.set(false)
		return nil
	}
	return fmt.Errorf("lock the new file: %w", err)
}

func (d *osDir) witnesses() (bool, error) {
	for range attempts {
		temp := d.tempName()
		h, err := openHandle(temp, windows.GENERIC_READ|windows.GENERIC_WRITE, windows.CREATE_NEW)
		if err != nil {
			return false, err
		}
		f := &osFile{d: d, h: h}
		err = f.takeWitness()
		remove(temp)
		f.Close()
		if err == errSwept {
			continue
		}
		yes, _ := d.witness.known()
		return yes, err
	}
	return false, errSwept
}

// replace renames over a file that others may have open: in the way of POSIX
// where the file system has it (NTFS since Windows 10 1607).
func (d *osDir) replace(oldpath, newpath string) error {
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
func remove(path string) error {
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
	away := (&osDir{prefix: dir}).tempName()
	if err := move(path, away, 0); err != nil {
		return err
	}
	name, err := windows.UTF16PtrFromString(longPath(away))
	if err != nil {
		return err
	}
	return retry(func() error { return windows.DeleteFile(name) })
}

func read(path string) (fsys.Snapshot, error) {
	h, err := openHandle(path, windows.GENERIC_READ, windows.OPEN_EXISTING)
	if err != nil {
		return fsys.Snapshot{}, err
	}
	defer windows.CloseHandle(h)
	info, err := regular(h)
	if err != nil {
		return fsys.Snapshot{}, err
	}
	size := int64(info.FileSizeHigh)<<32 | int64(info.FileSizeLow)
	data := make([]byte, min(size, fsys.MaxData))
	got := 0
	for got < len(data) {
		var n uint32
		if err := windows.ReadFile(h, data[got:], &n, nil); err != nil {
			return fsys.Snapshot{}, err
		}
		if n == 0 {
			break
		}
		got += int(n)
	}
	index := fileIndex(info)
	written := uint64(info.LastWriteTime.HighDateTime)<<32 | uint64(info.LastWriteTime.LowDateTime)
	s := fsys.Snapshot{Data: data[:got], ID: fsys.ID{index[0], index[1], written}}
	switch err := lockByte(h, 0); err {
	case nil:
		s.Witness = fsys.Free
		unlockByte(h)
	case windows.ERROR_LOCK_VIOLATION:
		s.Witness = fsys.Held
	}
	return s, nil
}

// sweep removes a temporary file unless a living process has locked it.
func sweep(path string) error {
	h, err := openHandle(path, windows.GENERIC_READ, windows.OPEN_EXISTING)
	if err != nil {
		return err
	}
	defer windows.CloseHandle(h)
	if _, err := regular(h); err != nil {
		return err
	}
	if lockByte(h, 0) != nil {
		return nil
	}
	defer unlockByte(h)
	return remove(path)
}

func (f *osFile) intact(path string) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.h == windows.InvalidHandle {
		return false, fs.ErrClosed
	}
	h, err := openHandle(path, windows.FILE_READ_ATTRIBUTES, windows.OPEN_EXISTING)
	if errors.Is(err, fs.ErrNotExist) || err == windows.ERROR_DIRECTORY {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer windows.CloseHandle(h)
	var info windows.ByHandleFileInformation
	if err := windows.GetFileInformationByHandle(h, &info); err != nil {
		return false, err
	}
	size := int64(info.FileSizeHigh)<<32 | int64(info.FileSizeLow)
	if fileIndex(&info) != f.id || size != int64(len(f.data)) {
		return false, nil
	}
	var buf [fsys.MaxData]byte
	got := 0
	for got < len(f.data) {
		var n uint32
		at := windows.Overlapped{Offset: uint32(got)}
		err := windows.ReadFile(f.h, buf[got:len(f.data)], &n, &at)
		if err == windows.ERROR_HANDLE_EOF || err == nil && n == 0 {
			break
		}
		if err != nil {
			return false, err
		}
		got += int(n)
	}
	return string(buf[:got]) == f.data, nil
}

func (f *osFile) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.h == windows.InvalidHandle {
		return pathError("close", f.d.path, fs.ErrClosed)
	}
	// The system does not promise to unlock at once what is closed locked
	// (LockFileEx).
	unlockByte(f.h)
	err := windows.CloseHandle(f.h)
	f.h = windows.InvalidHandle
	if err != nil {
		return pathError("close", f.d.path, err)
	}
	return nil
}

// localTypes are the file systems that only this machine can change while it
// has them mounted. CSVFS, which the nodes of a cluster share, is on a fixed
// drive, too.
var localTypes = []string{"NTFS", "ReFS", "exFAT", "FAT32", "FAT"}

func (d *osDir) isLocal() (bool, error) {
	path, err := windows.UTF16PtrFromString(d.path)
	if err != nil {
		return false, err
	}
	root := make([]uint16, len(d.path)+windows.MAX_PATH)
	if err := windows.GetVolumePathName(path, &root[0], uint32(len(root))); err != nil {
		return false, err
	}
	switch windows.GetDriveType(&root[0]) {
	case windows.DRIVE_FIXED, windows.DRIVE_REMOVABLE, windows.DRIVE_RAMDISK:
	default:
		return false, nil
	}
	var fstype [windows.MAX_PATH + 1]uint16
	err = windows.GetVolumeInformation(&root[0], nil, 0, nil, nil, nil, &fstype[0], uint32(len(fstype)))
	if err != nil {
		return false, err
	}
	return slices.Contains(localTypes, windows.UTF16ToString(fstype[:])), nil
}

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
	if info.FileAttributes&(windows.FILE_ATTRIBUTE_DIRECTORY|windows.FILE_ATTRIBUTE_REPARSE_POINT) != 0 {
		return nil, fsys.ErrNotRegular
	}
	return &info, nil
}

func fileIndex(info *windows.ByHandleFileInformation) [2]uint64 {
	return [2]uint64{
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

func openDir(path string) (*os.File, error) { return os.Open(path) }

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

// witnessOffset is the byte that stands for the witness. Locked bytes cannot be
// read by others, so that it is far beyond what any file holds.
const witnessOffset = 1 << 40

func witnessByte() *windows.Overlapped {
	return &windows.Overlapped{OffsetHigh: witnessOffset >> 32, Offset: witnessOffset & (1<<32 - 1)}
}

func lockByte(h windows.Handle, flags uint32) error {
	return windows.LockFileEx(h, flags|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, witnessByte())
}

func unlockByte(h windows.Handle) { _ = windows.UnlockFileEx(h, 0, 1, 0, witnessByte()) }

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
