package fsystest_test

import "golang.org/x/sys/unix"

// mknod makes a node of the null device.
func mknod(path string) error {
	return unix.Mknod(path, unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3)))
}
