package osfs_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/dirlock/dirlock/fsys"
	"github.com/dirlock/dirlock/fsys/osfs"
)

// ownThread runs f on a thread that has a working directory of its own, and ends
// with f.
func ownThread(t *testing.T, f func()) {
	t.Helper()
	var wg sync.WaitGroup
	wg.Go(func() {
		runtime.LockOSThread() // for good
		if err := unix.Unshare(unix.CLONE_FS); err != nil {
			t.Error("unshare: ", err)
			return
		}
		f()
	})
	wg.Wait()
}

// asNobody makes the calling thread, alone, one of a user without rights.
func asNobody(t *testing.T) {
	const nobody = 65534
	for _, call := range []uintptr{unix.SYS_SETRESGID, unix.SYS_SETRESUID} {
		_, _, errno := unix.RawSyscall(call, nobody, nobody, nobody)
		require.Zero(t, errno)
	}
}

func opened(t *testing.T, d fsys.Dir) fsys.OpenDir {
	t.Helper()
	o, err := fsys.Open(d)
	require.NoError(t, err)
	t.Cleanup(func() { _ = o.Close() })
	return o
}

func names(t *testing.T, d fsys.Dir) []string {
	t.Helper()
	all, err := d.List("")
	require.NoError(t, err)
	return all
}

func witnesses(t *testing.T, d fsys.Dir) fsys.Witness {
	t.Helper()
	kind, err := fsys.Witnesses(d)
	require.NoError(t, err)
	return kind
}

func needsRoot(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can be somebody else, and mount")
	}
}

// takesTurn creates L0, and removes it again.
func takesTurn(t *testing.T, d fsys.Dir) {
	t.Helper()
	f, err := d.Create("L0", []byte("x"))
	require.NoError(t, err)
	s, err := d.Read("L0")
	require.NoError(t, err)
	require.Equal(t, fsys.Held, s.Witness)
	ok, err := f.Intact("L0")
	require.NoError(t, err)
	require.True(t, ok)
	require.NoError(t, errors.Join(d.Remove("L0"), f.Close()))
}

func locate(t *testing.T, d fsys.Dir) fsys.Location {
	t.Helper()
	loc, err := fsys.Locate(d)
	require.NoError(t, err)
	return loc
}

func TestOpenDirectoryIsMoved(t *testing.T) {
	base := t.TempDir()
	dir := filepath.Join(base, "dir")
	require.NoError(t, os.Mkdir(dir, 0o755))
	d := openDir(t, dir)
	o := opened(t, d)
	f, err := o.Create("L0", []byte("x"))
	require.NoError(t, err)
	defer f.Close()
	require.NoError(t, os.Rename(dir, filepath.Join(base, "moved")))
	require.NoError(t, os.Mkdir(dir, 0o755))
	require.FileExists(t, filepath.Join(base, "moved", "L0"))

	ok, err := f.Intact("L0")
	require.NoError(t, err)
	require.True(t, ok, "it follows")
	_, err = d.Read("L0")
	require.ErrorIs(t, err, fs.ErrNotExist, "the name leads to the new one")
	_, _, err = fsys.Watch(o, "L0")
	require.ErrorIs(t, err, errors.ErrUnsupported, "no path is known that leads there")
	require.NoError(t, o.Remove("L0"))
	takesTurn(t, o)
	require.Empty(t, names(t, d))
}

func TestOpenDirectoryIsMadeAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "dir")
	require.NoError(t, os.Mkdir(dir, 0o755))
	for _, way := range ways {
		d := openDir(t, dir)
		osfs.SetWay(d, way)
		o := opened(t, d)
		f, err := o.Create("L0", []byte("x"))
		require.NoError(t, err)
		defer f.Close()
		require.NoError(t, os.RemoveAll(dir))
		require.NoError(t, os.Mkdir(dir, 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "L0"), []byte("x"), 0o644))

		ok, err := f.Intact("L0")
		require.NoError(t, err)
		require.False(t, ok)
		_, err = o.Create("L0", []byte("x"))
		require.ErrorIs(t, err, fs.ErrNotExist)
		_, err = o.Read("L0")
		require.ErrorIs(t, err, fs.ErrNotExist)
		require.ErrorIs(t, o.Remove("L0"), fs.ErrNotExist)
		_, err = o.List("")
		require.ErrorIs(t, err, fs.ErrNotExist)
		require.NoError(t, os.Remove(filepath.Join(dir, "L0")))

		takesTurn(t, d)
		require.Equal(t, way, osfs.Way(d), "it was forgotten how to make files")
	}
}

func TestOpenDirectoryIsClosed(t *testing.T) {
	o := opened(t, openDir(t, t.TempDir()))
	f, err := o.Create("L0", []byte("x"))
	require.NoError(t, err)
	changed, stop, err := fsys.Watch(o, "L0")
	require.NoError(t, err)
	defer stop()
	require.NoError(t, o.Close())
	require.ErrorIs(t, o.Close(), fs.ErrClosed)
	_, err = o.Create("L1", nil)
	require.ErrorIs(t, err, fs.ErrClosed)
	_, err = o.Read("L0")
	require.ErrorIs(t, err, fs.ErrClosed)
	_, err = o.List("")
	require.ErrorIs(t, err, fs.ErrClosed)
	_, err = fsys.Locate(o)
	require.ErrorIs(t, err, fs.ErrClosed)
	_, err = fsys.Witnesses(o)
	require.ErrorIs(t, err, fs.ErrClosed)
	_, err = fsys.Prepare(o, 1)
	require.ErrorIs(t, err, fs.ErrClosed)
	_, _, err = fsys.Watch(o, "L0")
	require.ErrorIs(t, err, fs.ErrClosed)
	require.ErrorIs(t, fsys.Sweep(o), fs.ErrClosed)
	require.ErrorIs(t, o.Remove("L0"), fs.ErrClosed)
	require.ErrorIs(t, o.Replace("L0", "L1"), fs.ErrClosed)
	_, err = f.Intact("L0")
	require.ErrorIs(t, err, fs.ErrClosed)

	require.NoError(t, openDir(t, o.Path()).Remove("L0"))
	<-changed // The watch has stayed.
	require.NoError(t, f.Close())
}

// A descriptor must not be closed, and used for something else, in the middle of
// an operation.
func TestCloseBesideOperations(t *testing.T) {
	d := openDir(t, t.TempDir())
	for range 200 {
		o, err := fsys.Open(d)
		require.NoError(t, err)
		var wg sync.WaitGroup
		for i := range 3 {
			wg.Go(func() {
				for {
					f, err := o.Create(fmt.Sprint("L", i), []byte("x"))
					if err != nil {
						require.ErrorIs(t, err, fs.ErrClosed)
						return
					}
					if err := errors.Join(o.Remove(fmt.Sprint("L", i)), f.Close()); err != nil {
						require.ErrorIs(t, err, fs.ErrClosed)
						_ = d.Remove(fmt.Sprint("L", i))
						return
					}
				}
			})
		}
		wg.Go(func() {
			runtime.Gosched()
			require.NoError(t, o.Close())
		})
		wg.Wait()
	}
	require.Empty(t, names(t, d))
}

// A magic link leads to what the kernel says, and not to what it reads like.
func TestAnotherRoot(t *testing.T) {
	dir := t.TempDir()
	privateMounts(t, func() {
		require.NoError(t, unix.Mount("tmpfs", dir, "tmpfs", 0, ""))
		there := fmt.Sprintf("/proc/self/task/%d/root%s", unix.Gettid(), dir)
		var wg sync.WaitGroup
		wg.Go(func() { // on another thread, which sees no tmpfs there
			here := openDir(t, dir)
			d := openDir(t, there)
			f, err := d.Create("L0", []byte("x"))
			require.NoError(t, err)
			defer f.Close()
			require.FileExists(t, there+"/L0")
			require.NoFileExists(t, dir+"/L0")
			require.Equal(t, there, d.Path())
			require.Equal(t, "tmpfs", locate(t, d).Type)
			require.NotEqual(t, locate(t, here).Mount, locate(t, d).Mount)
			_, err = here.Read("L0")
			require.ErrorIs(t, err, fs.ErrNotExist)
			changed, stop, err := fsys.Watch(d, "L0")
			require.NoError(t, err)
			defer stop()
			require.NoError(t, d.Remove("L0"))
			<-changed
		})
		wg.Wait()
	})
}

func TestPrivateParent(t *testing.T) {
	needsRoot(t)
	parent := t.TempDir()
	dir := filepath.Join(parent, "dir")
	require.NoError(t, os.Mkdir(dir, 0o777))
	require.NoError(t, os.Chmod(dir, 0o777))
	require.NoError(t, os.Chmod(parent, 0o700))
	ownThread(t, func() {
		require.NoError(t, unix.Chdir(dir))
		asNobody(t)
		d := openDir(t, ".")
		require.Equal(t, dir, d.Path())
		takesTurn(t, d)
		f, err := d.Create("L0", []byte("x"))
		require.NoError(t, err)
		defer f.Close()
		_, _, err = fsys.Watch(d, "L0")
		require.ErrorIs(t, err, errors.ErrUnsupported)
		require.NoError(t, d.Remove("L0"))

		// It stands for the directory of then.
		require.NoError(t, unix.Chdir("/tmp"))
		_, err = d.Create("L0", []byte("x"))
		require.ErrorIs(t, err, fs.ErrPermission)
	})
}

// The working directory is where the process is, and not what was mounted over
// its path, or has its place in another root.
func TestWorkingDirectoryIsMountedOver(t *testing.T) {
	dir := t.TempDir()
	privateMounts(t, func() {
		require.NoError(t, unix.Chdir(dir))
		require.NoError(t, unix.Mount("tmpfs", dir, "tmpfs", 0, ""))
		d := openDir(t, ".")
		f, err := d.Create("L0", []byte("x"))
		require.NoError(t, err)
		defer f.Close()
		var st unix.Stat_t
		require.NoError(t, unix.Stat("L0", &st))
		require.NoError(t, d.Remove("L0"))
		takesTurn(t, d)

		require.NoError(t, unix.Chroot(dir))
		d = openDir(t, ".")
		takesTurn(t, d)
		require.NoError(t, unix.Chdir("/"))
		_, err = d.Create("L0", []byte("x"))
		require.ErrorIs(t, err, fs.ErrNotExist)
	})
}

// Who may write to a directory may lock it, without seeing what else is there.
func TestDirectoryThatCannotBeListed(t *testing.T) {
	needsRoot(t)
	dir, err := os.MkdirTemp("", "dirlock-test-")
	require.NoError(t, err)
	defer os.RemoveAll(dir)
	require.NoError(t, os.Chmod(dir, 0o733))
	ownThread(t, func() {
		asNobody(t)
		d := openDir(t, dir)
		takesTurn(t, d)
		_, err := d.List("")
		require.ErrorIs(t, err, fs.ErrPermission)
	})
}

func TestLongPath(t *testing.T) {
	base := t.TempDir()
	fd, err := unix.Open(base, unix.O_PATH|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	path := base
	down := func(n int) {
		name := strings.Repeat("x", n)
		require.NoError(t, unix.Mkdirat(fd, name, 0o755))
		next, err := unix.Openat(fd, name, unix.O_PATH|unix.O_CLOEXEC, 0)
		require.NoError(t, err)
		require.NoError(t, unix.Close(fd))
		fd, path = next, path+"/"+name
	}
	defer func() { _ = unix.Close(fd) }()
	const most = 4095 // PATH_MAX with its end
	for len(path)+1+200 < most-200 {
		down(200)
	}
	down(most - len(path) - 1 - 100)
	down(99)
	require.Len(t, path, most)
	takesTurn(t, openDir(t, path))
	f, err := openDir(t, path).Create("L0", []byte("x"))
	require.NoError(t, err)
	defer f.Close()
	_, _, err = fsys.Watch(openDir(t, path), "L0")
	require.Error(t, err)

	down(200)
	ownThread(t, func() {
		require.NoError(t, unix.Fchdir(fd))
		takesTurn(t, openDir(t, "."))
	})
}

// A process that changes its root keeps the directory that it has open.
func TestChroot(t *testing.T) {
	needsRoot(t)
	dir, jail := t.TempDir(), t.TempDir()
	ownThread(t, func() {
		d := openDir(t, dir)
		o := opened(t, d)
		require.NoError(t, unix.Chroot(jail))
		require.NoError(t, unix.Chdir("/"))
		takesTurn(t, o)
		_, err := d.Create("L0", nil)
		require.ErrorIs(t, err, fs.ErrNotExist)
	})
}

// Where files are is asked anew, for something may come over the path.
func TestMountedOver(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "d"), 0o755))
	privateMounts(t, func() {
		require.NoError(t, unix.Mount("tmpfs", dir, "tmpfs", 0, ""))
		dir := filepath.Join(dir, "d")
		require.NoError(t, os.Mkdir(dir, 0o755))
		d := openDir(t, dir)
		takesTurn(t, d)
		before := locate(t, d)
		require.Equal(t, fsys.Location{Local: true, Type: "tmpfs", Mount: before.Mount, Direct: true}, before)
		o := opened(t, d)
		f, err := o.Create("L0", []byte("x"))
		require.NoError(t, err)
		defer f.Close()

		// Not local, as a network file system would be.
		require.NoError(t, unix.Mount("proc", dir, "proc", 0, ""))
		loc := locate(t, d)
		require.False(t, loc.Local)
		require.False(t, loc.Direct)
		require.NotEqual(t, before.Mount, loc.Mount)
		require.Equal(t, before, locate(t, o))
		ok, err := f.Intact("L0")
		require.NoError(t, err)
		require.True(t, ok, "below the mount")
		_, err = d.Read("L0")
		require.ErrorIs(t, err, fs.ErrNotExist)
		_, _, err = fsys.Watch(o, "L0")
		require.ErrorIs(t, err, errors.ErrUnsupported)
		require.NoError(t, unix.Unmount(dir, 0))
		require.Equal(t, before, locate(t, d))
		s, err := d.Read("L0")
		require.NoError(t, err)
		require.Equal(t, fsys.Held, s.Witness)
	})
}

// A bind mount is the same file system, with the same locks.
func TestBindMount(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	privateMounts(t, func() {
		require.NoError(t, unix.Mount(dir, other, "", unix.MS_BIND, ""))
		one, two := openDir(t, dir), openDir(t, other)
		require.Equal(t, locate(t, one), locate(t, two))
		f, err := one.Create("L0", []byte("x"))
		require.NoError(t, err)
		s, err := two.Read("L0")
		require.NoError(t, err)
		require.Equal(t, fsys.Held, s.Witness)
		require.NoError(t, f.Close())
		require.NoError(t, two.Remove("L0"))
	})
}

func TestLazyUnmount(t *testing.T) {
	dir := t.TempDir()
	privateMounts(t, func() {
		require.NoError(t, unix.Mount("tmpfs", dir, "tmpfs", 0, ""))
		d := openDir(t, dir)
		o := opened(t, d)
		before := locate(t, d)
		f, err := o.Create("L0", []byte("x"))
		require.NoError(t, err)
		defer f.Close()
		require.NoError(t, unix.Unmount(dir, unix.MNT_DETACH))
		require.NotEqual(t, before.Mount, locate(t, d).Mount)
		require.Equal(t, before, locate(t, o))
		ok, err := f.Intact("L0")
		require.NoError(t, err)
		require.True(t, ok)
		require.NoError(t, o.Remove("L0"))
		takesTurn(t, o)
		_, err = d.Read("L0")
		require.ErrorIs(t, err, fs.ErrNotExist)

		// What has its place is another file system, although one that is like it.
		require.NoError(t, unix.Mount("tmpfs", dir, "tmpfs", 0, ""))
		require.NotEqual(t, before.Mount, locate(t, d).Mount)
	})
}

// mountOverlay mounts one on base/merged, on a tmpfs.
func mountOverlay(t *testing.T, base string) {
	require.NoError(t, unix.Mount("tmpfs", base, "tmpfs", 0, ""))
	for _, sub := range []string{"lower", "upper", "work", "merged"} {
		require.NoError(t, os.Mkdir(filepath.Join(base, sub), 0o755))
	}
	options := "lowerdir=" + base + "/lower,upperdir=" + base + "/upper,workdir=" + base + "/work"
	if err := unix.Mount("overlay", filepath.Join(base, "merged"), "overlay", 0, options); err != nil {
		t.Log("no overlayfs: ", err)
		runtime.Goexit()
	}
}

// The upper directory of an overlay has the files of the merged one, as other
// files. Nothing in it may be concluded from a free witness about those.
func TestOverlayAndUpper(t *testing.T) {
	base := t.TempDir()
	privateMounts(t, func() {
		mountOverlay(t, base)
		merged, upper := openDir(t, filepath.Join(base, "merged")), openDir(t, filepath.Join(base, "upper"))
		f, err := merged.Create("L0", []byte("x"))
		require.NoError(t, err)
		defer f.Close()
		s, err := upper.Read("L0")
		require.NoError(t, err)
		require.Equal(t, fsys.Free, s.Witness, "a kernel that passes locks through would be good news")

		m, u := locate(t, merged), locate(t, upper)
		require.True(t, m.Local && u.Local)
		require.NotEqual(t, m.Mount, u.Mount)
		require.False(t, m.Direct, "its files are files of the upper directory, too")
		require.Equal(t, "overlay", m.Type)
		require.Equal(t, "tmpfs", u.Type)
	})
}

// A process that may only read a file cannot make its owner seem alive, by any
// lock that it can get.
func TestReaderIsNoOwner(t *testing.T) {
	base := t.TempDir()
	check := func(d fsys.Dir) {
		t.Helper()
		require.Equal(t, fsys.Held, witnesses(t, d))
		f, err := d.Create("L0", []byte("x"))
		require.NoError(t, err)
		look := func(want fsys.Witness) {
			t.Helper()
			s, err := d.Read("L0")
			require.NoError(t, err)
			require.Equal(t, want, s.Witness)
		}
		look(fsys.Held)
		fd, err := unix.Open(d.Path()+"/L0", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		require.NoError(t, err)
		defer unix.Close(fd)
		read, write := unix.Flock_t{Type: unix.F_RDLCK}, unix.Flock_t{Type: unix.F_WRLCK}
		require.Error(t, unix.FcntlFlock(uintptr(fd), unix.F_OFD_SETLK, &read), "the owner has the file locked")
		require.NoError(t, f.Close())
		look(fsys.Free)
		require.ErrorIs(t, unix.FcntlFlock(uintptr(fd), unix.F_OFD_SETLK, &write), unix.EBADF)
		require.NoError(t, unix.FcntlFlock(uintptr(fd), unix.F_OFD_SETLK, &read))
		look(fsys.Free)
		require.NoError(t, unix.Flock(fd, unix.LOCK_SH))
		look(fsys.Free)
		require.NoError(t, unix.Flock(fd, unix.LOCK_EX))
		look(fsys.HeldWeakly)
		require.NoError(t, d.Remove("L0"))
	}
	check(openDir(t, t.TempDir()))
	if shm, err := os.MkdirTemp("/dev/shm", "dirlock-test-"); err == nil {
		defer os.RemoveAll(shm)
		check(openDir(t, shm))
	}
	privateMounts(t, func() {
		mountOverlay(t, base)
		check(openDir(t, filepath.Join(base, "merged")))
	})
}

// Programs that the owner starts do not keep its witness.
func TestWitnessIsNotInherited(t *testing.T) {
	d := openDir(t, t.TempDir())
	f, err := d.Create("L0", []byte("x"))
	require.NoError(t, err)
	cmd := exec.Command("sleep", "60")
	require.NoError(t, cmd.Start())
	defer func() { _ = cmd.Wait() }()
	defer func() { require.NoError(t, cmd.Process.Kill()) }()
	require.NoError(t, f.Close())
	s, err := d.Read("L0")
	require.NoError(t, err)
	require.Equal(t, fsys.Free, s.Witness)
	require.NoError(t, d.Remove("L0"))
}

// Some file systems keep a file that is open, by another name, when it is
// removed. Without a witness there is no reason to have it open.
func TestFileWithoutWitnessIsNotOpen(t *testing.T) {
	dir := t.TempDir()
	for name, way := range ways {
		if name == "guard" {
			continue // for local directories
		}
		d := openDir(t, dir)
		osfs.SetWay(d, way)
		osfs.SetLocal(d, false)
		osfs.SetWitnesses(d, fsys.NoWitness)
		f, err := d.Create("L0", []byte("x"))
		require.NoError(t, err)
		files, err := filepath.Glob("/proc/self/fd/*")
		require.NoError(t, err)
		for _, file := range files {
			if target, err := os.Readlink(file); err == nil {
				require.False(t, strings.HasPrefix(target, dir), "%s: %s is open", name, target)
			}
		}
		ok, err := f.Intact("L0")
		require.NoError(t, err)
		require.True(t, ok)
		require.NoError(t, errors.Join(d.Remove("L0"), f.Close()))
	}
}
