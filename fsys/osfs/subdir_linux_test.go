package osfs

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dirlock/dirlock/fsys"
)

// A directory in the directory has the permissions of that one, whatever the umask
// is, because the next process may be of another user.
func TestSubdirPermissions(t *testing.T) {
	for _, mode := range []os.FileMode{0o700, 0o755, 0o775, 0o777 | os.ModeSticky} {
		for _, mask := range []int{0, 0o022, 0o077, 0o777} {
			path := t.TempDir()
			require.NoError(t, os.Chmod(path, mode))
			d, err := New().Dir(path)
			require.NoError(t, err)
			was := syscall.Umask(mask)
			err = fsys.MakeDir(d, "L0")
			syscall.Umask(was)
			require.NoError(t, err)
			info, err := os.Stat(filepath.Join(path, "L0"))
			require.NoError(t, err)
			assert.Equal(t, mode, info.Mode()&^os.ModeDir, "umask %o", mask)
		}
	}
}

// … and the owner and the group, if the process may give it away.
func TestSubdirOwner(t *testing.T) {
	path := t.TempDir()
	if err := os.Chown(path, 4242, 4343); err != nil {
		t.Skip("needs to be root:", err)
	}
	d, err := New().Dir(path)
	require.NoError(t, err)
	require.NoError(t, fsys.MakeDir(d, "L0"))
	info, err := os.Stat(filepath.Join(path, "L0"))
	require.NoError(t, err)
	assert.EqualValues(t, 4242, info.Sys().(*syscall.Stat_t).Uid)
	assert.EqualValues(t, 4343, info.Sys().(*syscall.Stat_t).Gid)
}

// That a directory is gone does not say that there is no /proc, or that the file
// system lacks anything.
func TestSubdirGoneDemotesNothing(t *testing.T) {
	path := t.TempDir()
	n, err := New().Dir(path)
	require.NoError(t, err)
	require.NoError(t, fsys.MakeDir(n, "L0"))
	sub, err := fsys.OpenSubdir(n, "L0")
	require.NoError(t, err)
	defer sub.Close()
	f, err := sub.Create("one", []byte("x"))
	require.NoError(t, err)
	a, err := sub.(*subdir).abilities()
	require.NoError(t, err)
	way := a.way.Load()
	require.NoError(t, sub.Remove("one"))
	require.NoError(t, f.Close())
	require.NoError(t, fsys.RemoveDir(n, "L0"))
	for _, again := range []bool{false, true} {
		if again {
			require.NoError(t, fsys.MakeDir(n, "L0"))
		}
		_, err = sub.Create("two", []byte("x"))
		require.ErrorIs(t, err, fs.ErrNotExist)
		assert.Equal(t, way, a.way.Load())
	}
	names, err := os.ReadDir(filepath.Join(path, "L0"))
	require.NoError(t, err)
	assert.Empty(t, names)
}

// A link to a directory leads nowhere.
func TestSubdirFollowsNoLink(t *testing.T) {
	path, elsewhere := t.TempDir(), t.TempDir()
	require.NoError(t, os.Symlink(elsewhere, filepath.Join(path, "L0")))
	n, err := New().Dir(path)
	require.NoError(t, err)
	_, err = fsys.OpenSubdir(n, "L0")
	require.ErrorIs(t, err, fsys.ErrNotDirectory)
	require.ErrorIs(t, fsys.MakeDir(n, "L0"), fs.ErrExist)
	require.ErrorIs(t, fsys.RemoveDir(n, "L0"), fsys.ErrNotDirectory)
	_, err = n.Read("L0")
	require.ErrorIs(t, err, fsys.ErrNotRegular)
	require.NotErrorIs(t, err, fsys.ErrDirectory)
}
