package lock_test

import (
	"testing"

	"golang.org/x/sys/unix"
)

// BenchmarkFloor is the least that a lock of this kind costs: a file that
// appears whole, and goes away.
func BenchmarkFloor(b *testing.B) {
	dir := b.TempDir()
	record := make([]byte, 250)
	b.ReportAllocs()
	for b.Loop() {
		fd, err := unix.Open(dir, unix.O_RDWR|unix.O_TMPFILE|unix.O_CLOEXEC, 0o644)
		if err != nil {
			b.Skip(err)
		}
		if _, err := unix.Write(fd, record); err != nil {
			b.Fatal(err)
		}
		if err := unix.Linkat(fd, "", unix.AT_FDCWD, dir+"/L0", unix.AT_EMPTY_PATH); err != nil {
			b.Skip(err)
		}
		if err := unix.Close(fd); err != nil {
			b.Fatal(err)
		}
		if err := unix.Unlink(dir + "/L0"); err != nil {
			b.Fatal(err)
		}
	}
}
