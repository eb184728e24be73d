//go:build darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd || solaris || windows

package osfs_test

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dirlock/dirlock/fsys"
	"github.com/dirlock/dirlock/fsys/osfs"
)

func TestNotifyHardLinkAndRename(t *testing.T) {
	dir := t.TempDir()
	d, err := osfs.New().Dir(dir)
	require.NoError(t, err)
	f, err := d.Create("L1", []byte("x"))
	require.NoError(t, err)
	defer f.Close()
	if err := os.Link(filepath.Join(dir, "L1"), filepath.Join(dir, "L2")); err != nil {
		t.Skip("no hard links: ", err)
	}
	one, stop1, err := fsys.Watch(d, "L1")
	require.NoError(t, err)
	defer stop1()
	two, stop2, err := fsys.Watch(d, "L2")
	require.NoError(t, err)
	defer stop2()

	// One file, one watch: save on Windows, which watches the names of the
	// directory. The rename of one name ends the watch, and the other name's
	// waiter must not be forgotten.
	require.NoError(t, os.Rename(filepath.Join(dir, "L1"), filepath.Join(dir, "L3")))
	<-one
	if runtime.GOOS != "windows" {
		<-two
	}
	require.NoError(t, d.Remove("L2"))
	<-two
}

func TestNotifyNextFileOfThatName(t *testing.T) {
	d, err := osfs.New().Dir(t.TempDir())
	require.NoError(t, err)
	// The owner has the first file still open, so that the system goes on
	// watching it.
	first, err := d.Create("L0", []byte("x"))
	require.NoError(t, err)
	defer first.Close()
	one, stop, err := fsys.Watch(d, "L0")
	require.NoError(t, err)
	defer stop()
	require.NoError(t, d.Remove("L0"))
	second, err := d.Create("L0", []byte("x"))
	require.NoError(t, err)
	defer second.Close()

	two, stop, err := fsys.Watch(d, "L0")
	require.NoError(t, err)
	defer stop()
	<-one
	require.NoError(t, d.Remove("L0"))
	<-two
}

func BenchmarkNotify(b *testing.B) {
	d, err := osfs.New().Dir(b.TempDir())
	require.NoError(b, err)
	f, err := d.Create("L0", []byte("x"))
	require.NoError(b, err)
	defer f.Close()
	b.Run("alone", func(b *testing.B) {
		for b.Loop() {
			_, stop, err := fsys.Watch(d, "L0")
			require.NoError(b, err)
			stop()
		}
	})
	b.Run("beside another", func(b *testing.B) {
		_, stop, err := fsys.Watch(d, "L0")
		require.NoError(b, err)
		defer stop()
		for b.Loop() {
			_, stop, err := fsys.Watch(d, "L0")
			require.NoError(b, err)
			stop()
		}
	})
}
