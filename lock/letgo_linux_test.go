package lock_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/dirlock/dirlock/lock"
)

// A record names a process that lives, but that does not hold this file. It is
// taken over at once, by that process too, and the original stays held.
func TestLetGoIsDead(t *testing.T) {
	for name, letGo := range map[string]func(t *testing.T, dir, to string, holder *lock.DirLock){
		"copied": func(t *testing.T, dir, to string, _ *lock.DirLock) {
			require.NoError(t, exec.Command("cp", "-a", filepath.Join(dir, "L0"), filepath.Join(to, "L0")).Run())
		},
		"restored from a backup": func(t *testing.T, dir, to string, _ *lock.DirLock) {
			tar := filepath.Join(to, "tar")
			require.NoError(t, exec.Command("tar", "-cf", tar, "-C", dir, "L0").Run())
			require.NoError(t, exec.Command("tar", "-xf", tar, "-C", to).Run())
			require.NoError(t, os.Remove(tar))
		},
		"on another disk": func(t *testing.T, dir, to string, _ *lock.DirLock) {
			require.NoError(t, unix.Mount("tmpfs", to, "tmpfs", 0, "mode=777"))
			t.Cleanup(func() { require.NoError(t, unix.Unmount(to, unix.MNT_DETACH)) })
			require.NoError(t, exec.Command("cp", "-a", filepath.Join(dir, "L0"), filepath.Join(to, "L0")).Run())
		},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "on another disk" {
				needRoot(t)
			}
			dir, to := t.TempDir(), t.TempDir()
			holder := lock.New(dir)
			mustTry(t, holder, true)
			letGo(t, dir, to, holder)
			mustTry(t, lock.New(to), true)
			require.NoError(t, holder.Check())
			mustTry(t, lock.New(dir), false)
			other := startPeer(t, dir)
			other.must("try", "false")
			require.NoError(t, holder.Unlock())
			other.must("try", "true")
		})
	}
	for name, change := range map[string]func(t *testing.T, file string, holder *lock.DirLock){
		"rewritten in place": func(t *testing.T, file string, _ *lock.DirLock) {
			require.NoError(t, exec.Command("sed", "-i", "s/^host .*/host elsewhere/", file).Run())
		},
		"lost, and back": func(t *testing.T, file string, holder *lock.DirLock) {
			require.NoError(t, os.Rename(file, file+".away"))
			require.ErrorIs(t, holder.Unlock(), lock.ErrLost)
			require.NoError(t, os.Rename(file+".away", file))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			holder := lock.New(dir)
			mustTry(t, holder, true)
			change(t, filepath.Join(dir, "L0"), holder)
			mustTake(t, dir)
			other := startPeer(t, dir)
			other.must("try", "true")
		})
	}

	// Away and back, and the owner has not noticed: it holds the file.
	dir := t.TempDir()
	holder := lock.New(dir)
	mustTry(t, holder, true)
	file := filepath.Join(dir, "L0")
	require.NoError(t, os.Rename(file, file+".away"))
	require.NoError(t, os.Rename(file+".away", file))
	mustTry(t, lock.New(dir), false)
	require.NoError(t, holder.Check())
}

// A reader can lock the file of a dead owner, and keeps nobody out with that.
func TestReaderKeepsNobodyOut(t *testing.T) {
	dir := t.TempDir()
	putStale(t, dir, 0)
	f, err := os.Open(filepath.Join(dir, "L0"))
	require.NoError(t, err)
	defer f.Close()
	require.NoError(t, unix.Flock(int(f.Fd()), unix.LOCK_EX))
	s, err := lock.New(dir).Status()
	require.NoError(t, err)
	if s.Levels[0].Owner.WriteLock {
		mustTry(t, lock.New(dir), true)
	} else {
		t.Skip("this file system has no lock that takes permission to write")
	}
}

// A directory that may be entered and written to, but not listed.
func TestDirectoryThatCannotBeListed(t *testing.T) {
	needRoot(t)
	dir := publicDir(t, 0o733)
	holder := startPeer(t, dir)
	holder.must("try", "true")
	other := startPeer(t, dir)
	other.must("setuid 65534", "ok")
	other.must("new "+dir, "ok")
	other.must("try", "false")
	require.Contains(t, other.do("state"), "alive")
	holder.kill()
	other.must("try", "true")
	other.must("unlock", "ok")
}

// In a directory in which upper and lower case are one, a file l0 has the name of
// the lock file. Status sees what TryLock does.
func TestCaseInsensitive(t *testing.T) {
	needRoot(t)
	image, dir := filepath.Join(t.TempDir(), "image"), t.TempDir()
	require.NoError(t, os.WriteFile(image, nil, 0o644))
	require.NoError(t, os.Truncate(image, 32<<20))
	run := func(name string, args ...string) string {
		out, err := exec.Command(name, args...).CombinedOutput()
		if err != nil {
			t.Skipf("%s: %v: %s", name, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	run("mkfs.exfat", image)
	loop := run("losetup", "-f", "--show", image)
	t.Cleanup(func() { run("losetup", "-d", loop) })
	run("mount.exfat-fuse", loop, dir)
	t.Cleanup(func() { require.NoError(t, unix.Unmount(dir, 0)) })
	require.NoError(t, os.WriteFile(filepath.Join(dir, "l0"), []byte("of another program"), 0o644))
	l := lock.New(dir)
	_, err := l.TryLock()
	require.ErrorIs(t, err, lock.ErrNotRecord)
	s, err := l.Status()
	require.NoError(t, err)
	state, level := s.State()
	require.Equal(t, lock.Unreadable, state)
	require.ErrorIs(t, level.Err, lock.ErrNotRecord)
}
