package osfs_test

import (
	"bytes"
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/dirlock/dirlock/fsys"
)

// BenchmarkCycle publishes a level file and removes it again: beside the bare
// system calls that this takes at least.
func BenchmarkCycle(b *testing.B) {
	data := bytes.Repeat([]byte("x"), 300)
	for _, where := range []string{"", "/dev/shm"} {
		name := where
		if name == "" {
			name = "tmp"
		}
		dir, err := os.MkdirTemp(where, "dirlock-bench-")
		require.NoError(b, err)
		b.Cleanup(func() { os.RemoveAll(dir) })
		b.Run(name+"/floor", func(b *testing.B) {
			path := dir + "/L0"
			for b.Loop() {
				fd, err := unix.Open(dir, unix.O_RDWR|unix.O_TMPFILE|unix.O_CLOEXEC, 0o644)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := unix.Write(fd, data); err != nil {
					b.Fatal(err)
				}
				if err := unix.Linkat(fd, "", unix.AT_FDCWD, path, unix.AT_EMPTY_PATH); err != nil {
					err = unix.Linkat(unix.AT_FDCWD, "/proc/self/fd/"+strconv.Itoa(fd), unix.AT_FDCWD, path, unix.AT_SYMLINK_FOLLOW)
					if err != nil {
						b.Fatal(err)
					}
				}
				if err := unix.Unlink(path); err != nil {
					b.Fatal(err)
				}
				if err := unix.Close(fd); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/fsys", func(b *testing.B) {
			d := openDir(b, dir)
			b.ReportAllocs()
			for b.Loop() {
				f, err := d.Create("L0", data)
				if err != nil {
					b.Fatal(err)
				}
				if err := d.Remove("L0"); err != nil {
					b.Fatal(err)
				}
				if err := f.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/read", func(b *testing.B) {
			d := openDir(b, dir)
			f, err := d.Create("L0", data)
			require.NoError(b, err)
			b.ReportAllocs()
			for b.Loop() {
				s, err := d.Read("L0")
				if err != nil || s.Witness != fsys.Held {
					b.Fatal(s.Witness, err)
				}
			}
			require.NoError(b, d.Remove("L0"))
			require.NoError(b, f.Close())
		})
	}
}
