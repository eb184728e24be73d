package osfs

import (
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/windows"
)

// localTypes are the file systems that only this machine can change while it
// has them mounted. CSVFS, which the nodes of a cluster share, is on a fixed
// drive, too.
var localTypes = []string{"NTFS", "ReFS", "exFAT", "FAT32", "FAT"}

func (d *dir) locate() (facts, error) {
	path, err := windows.UTF16PtrFromString(d.path)
	if err != nil {
		return facts{}, err
	}
	root := make([]uint16, len(d.path)+windows.MAX_PATH)
	if err := windows.GetVolumePathName(path, &root[0], uint32(len(root))); err != nil {
		return facts{}, err
	}
	switch windows.GetDriveType(&root[0]) {
	case windows.DRIVE_FIXED, windows.DRIVE_REMOVABLE, windows.DRIVE_RAMDISK:
	default:
		return facts{}, nil
	}
	var fstype [windows.MAX_PATH + 1]uint16
	var serial uint32
	err = windows.GetVolumeInformation(&root[0], nil, 0, &serial, nil, nil, &fstype[0], uint32(len(fstype)))
	if err != nil {
		return facts{}, err
	}
	// The lock of a range of bytes is seen by every path to the volume.
	f := facts{id: fileID{dev: uint64(serial)}}
	f.Type = strings.ReplaceAll(windows.UTF16ToString(fstype[:]), " ", "_")
	f.Mount = strconv.FormatUint(uint64(serial), 16)
	f.Local = slices.Contains(localTypes, f.Type)
	f.Direct = f.Local
	return f, nil
}
