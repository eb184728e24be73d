package osfs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/dirlock/dirlock/fsys"
	"github.com/dirlock/dirlock/fsys/osfs"
)

// privateMounts runs f on a thread whose mounts nobody else sees. They go with
// the thread.
func privateMounts(t *testing.T, f func()) {
	if os.Getuid() != 0 {
		t.Skip("only root can mount")
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // for good
		if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
			t.Error("unshare: ", err)
			return
		}
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			t.Error("mount: ", err)
			return
		}
		f()
	}()
	<-done
}

func TestReadOnlyAndFull(t *testing.T) {
	dir := t.TempDir()
	privateMounts(t, func() {
		require.NoError(t, unix.Mount("tmpfs", dir, "tmpfs", 0, "size=16k"))
		d := openDir(t, dir)
		old, err := d.Create("L0", []byte("x"))
		require.NoError(t, err)
		err = os.WriteFile(filepath.Join(dir, "big"), make([]byte, 64<<10), 0o644)
		require.ErrorIs(t, err, unix.ENOSPC)
		for _, way := range ways {
			osfs.SetWay(d, way)
			_, err = d.Create("L1", []byte("x"))
			require.ErrorIs(t, err, unix.ENOSPC)
		}
		names, err := d.List("")
		require.NoError(t, err)
		require.ElementsMatch(t, []string{"L0", "big"}, names)

		require.NoError(t, os.Remove(filepath.Join(dir, "big")))
		require.NoError(t, old.Close()) // Nothing may be open for writing now.
		require.NoError(t, unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""))
		d = openDir(t, dir)
		_, err = d.Create("L1", []byte("x"))
		require.ErrorIs(t, err, unix.EROFS)
		require.ErrorIs(t, d.Remove("L0"), unix.EROFS)
		require.ErrorIs(t, d.Replace("L0", "L1"), unix.EROFS)
		_, err = fsys.Witnesses(d)
		require.ErrorIs(t, err, unix.EROFS)
		s, err := d.Read("L0")
		require.NoError(t, err)
		require.Equal(t, "x", string(s.Data))
	})
}

func TestWithoutProc(t *testing.T) {
	dir := t.TempDir()
	privateMounts(t, func() {
		require.NoError(t, unix.Mount("tmpfs", "/proc", "tmpfs", 0, ""))
		d := openDir(t, dir)
		f, err := d.Create("L0", []byte("x"))
		require.NoError(t, err)
		defer f.Close()
		ok, err := f.Intact("L0")
		require.NoError(t, err)
		require.True(t, ok)
	})
}

func TestLocal(t *testing.T) {
	for dir, want := range map[string]bool{"/dev/shm": true, "/proc": false, "/sys": false} {
		if _, err := os.Stat(dir); err != nil {
			continue
		}
		loc, err := fsys.Locate(openDir(t, dir))
		require.NoError(t, err)
		require.Equal(t, want, loc.Local, dir)
	}
}

func TestOverlay(t *testing.T) {
	base := t.TempDir()
	privateMounts(t, func() {
		require.NoError(t, unix.Mount("tmpfs", base, "tmpfs", 0, ""))
		for _, sub := range []string{"lower", "upper", "work", "merged"} {
			require.NoError(t, os.Mkdir(filepath.Join(base, sub), 0o755))
		}
		options := "lowerdir=" + base + "/lower,upperdir=" + base + "/upper,workdir=" + base + "/work"
		merged := filepath.Join(base, "merged")
		if err := unix.Mount("overlay", merged, "overlay", 0, options); err != nil {
			t.Log("no overlayfs: ", err)
			return
		}
		require.NoError(t, os.WriteFile(filepath.Join(base, "lower", "L2"), []byte("dead"), 0o644))
		d := openDir(t, merged)
		loc, err := fsys.Locate(d)
		require.NoError(t, err)
		local := loc.Local
		require.True(t, local)
		for _, way := range []uint32{osfs.ByUnnamed, osfs.ByLink, osfs.ByRename, osfs.ByGuard} {
			osfs.SetWay(d, way)
			f, err := d.Create("L0", []byte("x"))
			require.NoError(t, err)
			_, err = d.Create("L0", []byte("x"))
			require.ErrorIs(t, err, fs.ErrExist)
			ok, err := f.Intact("L0")
			require.NoError(t, err)
			require.True(t, ok)
			s, err := d.Read("L0")
			require.NoError(t, err)
			require.Equal(t, fsys.Held, s.Witness)
			require.NoError(t, d.Remove("L0"))
			require.NoError(t, f.Close())
		}
		require.NoError(t, d.Remove("L2"))
		names, err := d.List("")
		require.NoError(t, err)
		require.Empty(t, names)
	})
}

// TestWayIn says how files appear in the directories that DIRLOCK_TEST_DIRS
// lists, and what else is known of them: scripts/filesystems shows it.
func TestWayIn(t *testing.T) {
	dirs := filepath.SplitList(os.Getenv("DIRLOCK_TEST_DIRS"))
	if len(dirs) == 0 {
		t.Skip("DIRLOCK_TEST_DIRS lists no directories")
	}
	for _, dir := range dirs {
		d, err := osfs.New().Dir(dir)
		require.NoError(t, err)
		f, err := d.Create("way", []byte("x"))
		require.NoError(t, err)
		require.NoError(t, d.Remove("way"))
		require.NoError(t, f.Close())
		kind, err := fsys.Witnesses(d)
		require.NoError(t, err)
		loc, err := fsys.Locate(d)
		require.NoError(t, err)
		way := map[uint32]string{
			osfs.ByUnnamed: "unnamed file", osfs.ByLink: "link", osfs.ByRename: "rename", osfs.ByGuard: "guard",
		}[osfs.Way(d)]
		t.Logf("%s: way: %s, witness: %v, type: %s, local: %v", dir, way, kind, loc.Type, loc.Local)
	}
}
