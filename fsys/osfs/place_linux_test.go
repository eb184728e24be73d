package osfs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/dirlock/dirlock/fsys"
)

// held is a file in a directory that is open.
func held(t *testing.T, name string) (o fsys.OpenDir, f fsys.File) {
	t.Helper()
	o = opened(t, openDir(t, name))
	f, err := o.Create("L0", []byte("x"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = f.Close() })
	return o, f
}

func wantPlace(t *testing.T, want fsys.Place, f fsys.File) {
	t.Helper()
	place, err := fsys.PlaceOf(f, "L0")
	require.NoError(t, err)
	require.Equal(t, want, place, place.String())
}

// What is mounted over a directory, or over one above it, has its name. A bind
// mount of the directory itself is the same directory.
func TestPlaceMountedOver(t *testing.T) {
	for _, over := range []string{"d", "."} {
		top := t.TempDir()
		dir := filepath.Join(top, "d")
		require.NoError(t, os.Mkdir(dir, 0o755))
		at := filepath.Join(top, over)
		privateMounts(t, func() {
			_, f := held(t, dir)
			wantPlace(t, fsys.Here, f)
			require.NoError(t, unix.Mount(at, at, "", unix.MS_BIND, ""))
			wantPlace(t, fsys.Here, f)
			require.NoError(t, unix.Mount("tmpfs", at, "tmpfs", 0, ""))
			if over == "." {
				wantPlace(t, fsys.Moved, f)
				require.NoError(t, os.Mkdir(dir, 0o755))
			}
			wantPlace(t, fsys.Replaced, f)
			require.NoError(t, os.WriteFile(filepath.Join(dir, "L0"), []byte("x"), 0o644))
			wantPlace(t, fsys.Replaced, f)
			require.NoError(t, unix.Unmount(at, 0))
			wantPlace(t, fsys.Here, f)
		})
	}
}

// A process that changes its root cannot tell where the name leads: the directory
// that it has open counts.
func TestPlaceInAnotherRoot(t *testing.T) {
	needsRoot(t)
	dir, jail := t.TempDir(), t.TempDir()
	for _, another := range []bool{false, true} {
		if another {
			require.NoError(t, os.MkdirAll(jail+dir, 0o755))
		}
		ownThread(t, func() {
			o, f := held(t, dir)
			require.NoError(t, unix.Chroot(jail))
			require.NoError(t, unix.Chdir("/"))
			wantPlace(t, fsys.Here, f)
			require.NoError(t, o.Remove("L0"))
			wantPlace(t, fsys.Gone, f)
		})
	}
}

// A relative name leads where the working directory is, and when that is another
// one, it cannot be told.
func TestPlaceByRelativeName(t *testing.T) {
	needsRoot(t)
	parent := t.TempDir()
	dir := filepath.Join(parent, "d")
	require.NoError(t, os.Mkdir(dir, 0o777))
	require.NoError(t, os.Chmod(dir, 0o777))
	ownThread(t, func() {
		require.NoError(t, unix.Chdir(dir))
		require.NoError(t, os.Chmod(parent, 0o700))
		asNobody(t)
		o, f := held(t, ".")
		wantPlace(t, fsys.Here, f)
		require.NoError(t, unix.Chdir("/"))
		wantPlace(t, fsys.Here, f)
		require.NoError(t, o.Remove("L0"))
		wantPlace(t, fsys.Gone, f)
	})
	// The working directory has no path: something is mounted over it.
	privateMounts(t, func() {
		require.NoError(t, unix.Chdir(dir))
		require.NoError(t, unix.Mount("tmpfs", dir, "tmpfs", 0, ""))
		_, f := held(t, ".")
		wantPlace(t, fsys.Here, f)
		require.NoError(t, unix.Chdir("/"))
		wantPlace(t, fsys.Here, f)
	})
}

// A directory that is closed to this process since cannot be told from another.
func TestPlaceBehindAPrivateParent(t *testing.T) {
	needsRoot(t)
	parent, err := os.MkdirTemp("", "dirlock-test-")
	require.NoError(t, err)
	defer os.RemoveAll(parent)
	require.NoError(t, os.Chmod(parent, 0o755))
	dir := filepath.Join(parent, "d")
	require.NoError(t, os.Mkdir(dir, 0o777))
	require.NoError(t, os.Chmod(dir, 0o777))
	ownThread(t, func() {
		asNobody(t)
		_, f := held(t, dir)
		var wg sync.WaitGroup
		wg.Go(func() { assert.NoError(t, os.Chmod(parent, 0o700)) }) // on another thread, as root
		wg.Wait()
		_, err := os.Stat(dir)
		require.ErrorIs(t, err, fs.ErrPermission)
		wantPlace(t, fsys.Here, f)
	})
}

// An overlay gives no lasting numbers to directories; a magic link leads where the
// kernel says.
func TestPlaceElsewhere(t *testing.T) {
	base := t.TempDir()
	privateMounts(t, func() {
		mountOverlay(t, base)
		dir := filepath.Join(base, "merged", "d")
		require.NoError(t, os.Mkdir(filepath.Join(base, "lower", "d"), 0o755))
		require.NoError(t, unix.Mount("", filepath.Join(base, "merged"), "", unix.MS_REMOUNT, ""))
		_, f := held(t, dir) // which is copied up
		wantPlace(t, fsys.Here, f)
		for range 100 {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "x"), nil, 0o644))
			wantPlace(t, fsys.Here, f)
		}
		dir = filepath.Join(base, "merged", "new")
		require.NoError(t, os.Mkdir(dir, 0o755))
		_, f = held(t, dir)
		require.NoError(t, os.Rename(dir, dir+"-moved"))
		wantPlace(t, fsys.Moved, f)

		fd, err := unix.Open(base, unix.O_PATH|unix.O_CLOEXEC, 0)
		require.NoError(t, err)
		_, f = held(t, "/proc/self/fd/"+strconv.Itoa(fd))
		wantPlace(t, fsys.Here, f)
		require.NoError(t, unix.Close(fd))
		wantPlace(t, fsys.Moved, f)
	})
}

// A file that was made by the directory's name is looked for by it.
func TestPlaceByName(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	require.NoError(t, os.Mkdir(dir, 0o755))
	f, err := openDir(t, dir).Create("L0", []byte("x"))
	require.NoError(t, err)
	wantPlace(t, fsys.Here, f)
	require.NoError(t, os.Rename(dir, dir+"-moved"))
	wantPlace(t, fsys.Gone, f)
	require.NoError(t, os.Rename(dir+"-moved", dir))
	require.NoError(t, f.Close())
	_, err = fsys.PlaceOf(f, "L0")
	require.ErrorIs(t, err, fs.ErrClosed)
}

// A directory in the directory has its name by way of that.
func TestPlaceInSubdir(t *testing.T) {
	top := t.TempDir()
	dir := filepath.Join(top, "d")
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "L0"), 0o755))
	t.Chdir(dir)
	for _, name := range []string{dir, "."} {
		sub, err := fsys.OpenSubdir(opened(t, openDir(t, name)), "L0")
		require.NoError(t, err)
		defer sub.Close()
		f, err := sub.Create("L0", []byte("x"))
		require.NoError(t, err)
		wantPlace(t, fsys.Here, f)
		require.NoError(t, os.Rename(dir, dir+"-moved"))
		wantPlace(t, map[string]fsys.Place{dir: fsys.Moved, ".": fsys.Here}[name], f)
		require.NoError(t, os.MkdirAll(filepath.Join(dir, "L0"), 0o755))
		wantPlace(t, fsys.Replaced, f)
		require.NoError(t, os.RemoveAll(dir))
		require.NoError(t, os.Rename(dir+"-moved", dir))
		wantPlace(t, fsys.Here, f)
		require.NoError(t, f.Close())
		require.NoError(t, sub.Remove("L0"))
	}
}
