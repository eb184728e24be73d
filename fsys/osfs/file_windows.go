package osfs

import (
	"errors"
	"io/fs"
	"sync"

	"golang.org/x/sys/windows"

	"github.com/dirlock/dirlock/fsys"
)

// osFile is a published file. Its handle is not inherited by child processes,
// and lets others read, rename and delete the file.
type osFile struct {
	d    *dir
	data string
	id   fileID

	mu sync.Mutex
	h  windows.Handle // InvalidHandle when closed
}

// attempts bounds how often Create starts again after a sweep.
const attempts = 100

var errSwept = errors.New("temporary file was swept away")

// create writes a temporary file, and renames it to its name, which the system
// refuses to do if that is taken.
func (d *dir) create(name string, data []byte) (*osFile, error) {
	for range attempts {
		temp := d.prefix + tempName()
		h, err := openHandle(temp, windows.GENERIC_READ|windows.GENERIC_WRITE, windows.CREATE_NEW)
		if err != nil {
			return nil, err
		}
		f := &osFile{d: d, h: h}
		if err = f.fill(data); err == nil {
			err = move(temp, d.prefix+name, 0)
		}
		if err == nil {
			return f, nil
		}
		_ = removePath(temp)
		f.Close()
		// The sweep of another process removes a temporary file that it saw
		// before it was locked.
		if err != errSwept && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return nil, errSwept
}

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

func (f *osFile) intactIn(d *dir, name string) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.h == windows.InvalidHandle {
		return false, fs.ErrClosed
	}
	h, err := openHandle(d.prefix+name, windows.FILE_READ_ATTRIBUTES, windows.OPEN_EXISTING)
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
