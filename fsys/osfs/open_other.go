//go:build unix && !linux

package osfs

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// search is O_SEARCH with O_DIRECTORY (open(2) of each system; Go's packages
// have the number for few of them). The others have no such thing.
var search = map[string]int{
	"darwin":  0x40100000,
	"freebsd": 0x40000,
	"illumos": 0x200000,
	"ios":     0x40100000,
	"netbsd":  0x800000,
	"solaris": 0x200000,
}[runtime.GOOS]

// openDirectory opens it for reading, or, if that is not allowed, for finding
// what is in it.
func openDirectory(at int, path string, flags int) (int, error) {
	flags |= unix.O_DIRECTORY | unix.O_NONBLOCK
	fd, err := openat(at, path, unix.O_RDONLY|flags, 0)
	if err == unix.EACCES && search != 0 {
		fd, err = openat(at, path, search|flags, 0)
	}
	return fd, err
}
