package osfs

import (
	"fmt"

	"golang.org/x/sys/windows"

	"github.com/dirlock/dirlock/fsys"
)

func (f *osFile) takeWitness() error {
	a, err := f.d.abilities()
	if err != nil {
		return err
	}
	promised, known := a.knownWitness()
	if known && promised == fsys.NoWitness {
		return nil
	}
	err = lockByte(f.h, windows.LOCKFILE_EXCLUSIVE_LOCK)
	switch {
	case err == nil:
		a.setWitness(fsys.HeldWeakly)
		return nil
	case err == windows.ERROR_LOCK_VIOLATION:
		return errSwept
	case !known && lacks(err):
		a.setWitness(fsys.NoWitness)
		return nil
	}
	return fmt.Errorf("lock the new file: %w", err)
}

func (d *dir) witnesses() (fsys.Witness, error) {
	a, err := d.abilities()
	if err != nil {
		return fsys.NoWitness, err
	}
	if kind, known := a.knownWitness(); known {
		return kind, nil
	}
	for range attempts {
		temp := d.prefix + tempName()
		h, err := openHandle(temp, windows.GENERIC_READ|windows.GENERIC_WRITE, windows.CREATE_NEW)
		if err != nil {
			return fsys.NoWitness, err
		}
		f := &osFile{d: d, h: h}
		err = f.takeWitness()
		_ = removePath(temp)
		f.Close()
		if err == errSwept {
			continue
		}
		if err != nil {
			return fsys.NoWitness, err
		}
		kind, _ := a.knownWitness()
		return kind, nil
	}
	return fsys.NoWitness, errSwept
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
