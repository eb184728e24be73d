package osfs

import (
	"golang.org/x/sys/windows"

	"github.com/dirlock/dirlock/fsys"
)

func (d *dir) read(name string) (fsys.Snapshot, error) {
	known, err := d.facts()
	if err != nil {
		return fsys.Snapshot{}, err
	}
	h, err := openHandle(d.prefix+name, windows.GENERIC_READ, windows.OPEN_EXISTING)
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
	s := fsys.Snapshot{Data: data[:got]}
	if known.Local { // A server may give a file another number or time at any moment.
		s.ID = fsys.ID{index.dev, index.ino, written}
	}
	switch err := lockByte(h, 0); err {
	case nil:
		s.Witness = fsys.Free
		unlockByte(h)
	case windows.ERROR_LOCK_VIOLATION:
		s.Witness = fsys.HeldWeakly
	}
	return s, nil
}

// sweepFile removes a temporary file unless a living process has locked it.
func (d *dir) sweepFile(name string) error {
	h, err := openHandle(d.prefix+name, windows.GENERIC_READ, windows.OPEN_EXISTING)
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
	return d.remove(name)
}
