package lock_test

import (
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/dirlock/dirlock/fsys"
	"github.com/dirlock/dirlock/lock"
)

const secret = "correct horse battery staple"

// What another program may have put in place of a level file.
var hostile = map[string]struct {
	put  func(t *testing.T, path string)
	want error // nil: taken for a torn record
}{
	"empty":    {func(t *testing.T, path string) { write(t, path, nil) }, nil},
	"zeroes":   {func(t *testing.T, path string) { write(t, path, make([]byte, 512)) }, nil},
	"text":     {func(t *testing.T, path string) { write(t, path, []byte(secret)) }, lock.ErrNotRecord},
	"PID file": {func(t *testing.T, path string) { write(t, path, []byte("4242\n")) }, lock.ErrNotRecord},
	"JSON":     {func(t *testing.T, path string) { write(t, path, []byte(`{"pid": 4242}`)) }, lock.ErrNotRecord},
	"binary":   {func(t *testing.T, path string) { write(t, path, []byte("\x7fELF\x00\xff\x1b[2J"+secret)) }, lock.ErrNotRecord},
	"too long": {func(t *testing.T, path string) { write(t, path, []byte(someRecord+strings.Repeat("x", 5000)+secret)) }, lock.ErrNotRecord},
	"huge": {func(t *testing.T, path string) {
		write(t, path, []byte(secret))
		require.NoError(t, os.Truncate(path, 1<<40))
	}, lock.ErrNotRecord},
	"huge zeroes": {func(t *testing.T, path string) {
		write(t, path, nil)
		require.NoError(t, os.Truncate(path, 1<<40))
	}, lock.ErrNotRecord},
	"later version": {func(t *testing.T, path string) { write(t, path, []byte("dirlock 2\n"+secret+"\n")) }, lock.ErrVersion},
	"FIFO": {func(t *testing.T, path string) {
		require.NoError(t, unix.Mkfifo(path, 0o666))
	}, fsys.ErrNotRegular},
	"directory": {func(t *testing.T, path string) {
		require.NoError(t, os.Mkdir(path, 0o777))
		write(t, filepath.Join(path, "precious"), []byte(secret))
	}, fsys.ErrNotRegular},
	"symbolic link to a secret": {func(t *testing.T, path string) {
		target := filepath.Join(t.TempDir(), "secret")
		write(t, target, []byte(secret))
		require.NoError(t, os.Symlink(target, path))
	}, fsys.ErrNotRegular},
	"symbolic link to a record": {func(t *testing.T, path string) {
		target := filepath.Join(t.TempDir(), "record")
		write(t, target, []byte(someRecord))
		require.NoError(t, os.Symlink(target, path))
	}, fsys.ErrNotRegular},
	"dangling symbolic link": {func(t *testing.T, path string) {
		require.NoError(t, os.Symlink("nowhere", path))
	}, fsys.ErrNotRegular},
	"symbolic link to itself": {func(t *testing.T, path string) {
		require.NoError(t, os.Symlink(filepath.Base(path), path))
	}, fsys.ErrNotRegular},
	"socket": {func(t *testing.T, path string) {
		// The name of a socket has at most 107 bytes.
		short := filepath.Join(publicDir(t, 0o700), "s")
		l, err := net.Listen("unix", short)
		require.NoError(t, err)
		t.Cleanup(func() { _ = l.Close() })
		require.NoError(t, os.Rename(short, path))
	}, fsys.ErrNotRegular},
	"endless device": {device(1, 5), fsys.ErrNotRegular}, // /dev/zero
	"terminal":       {device(5, 0), fsys.ErrNotRegular}, // /dev/tty
	"no driver":      {device(250, 250), fsys.ErrNotRegular},
}

func device(major, minor uint32) func(t *testing.T, path string) {
	return func(t *testing.T, path string) {
		needRoot(t)
		require.NoError(t, unix.Mknod(path, unix.S_IFCHR|0o666, int(unix.Mkdev(major, minor))))
	}
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, data, 0o666))
}

// metas returns what there is in a directory, without reading any of it.
func metas(t *testing.T, dir string) map[string]string {
	t.Helper()
	m := map[string]string{}
	for _, name := range names(t, dir) {
		fi, err := os.Lstat(filepath.Join(dir, name))
		require.NoError(t, err)
		st := *fi.Sys().(*syscall.Stat_t)
		st.Atim = syscall.Timespec{} // looking is allowed
		m[name] = fmt.Sprint(st)
	}
	return m
}

// Whatever is there in place of a level file, the verdict is right, nothing
// blocks, nothing of it is shown, and it stays.
func TestHostile(t *testing.T) {
	for name, test := range hostile {
		for _, level := range []string{"L0", "L1"} {
			t.Run(name+" at "+level, func(t *testing.T) {
				dir := t.TempDir()
				if level == "L1" {
					putStale(t, dir, 0)
				}
				path, want := filepath.Join(dir, level), test.want
				test.put(t, path)
				before := metas(t, dir)
				l := lock.New(dir)

				s, err := l.Status()
				require.NoError(t, err)
				_, lv := s.State()
				if name == "directory" && level == "L0" {
					// That is where readers have their files.
					path = filepath.Join(path, "precious")
					want = lock.ErrNotRecord
				} else {
					lv = s.Levels[len(s.Levels)-1]
				}
				require.Equal(t, path, lv.Path)
				require.NotContains(t, fmt.Sprintf("%+v", s), secret)

				if want == nil {
					require.NoError(t, lv.Err)
					mustTake(t, dir)
					return
				}
				require.ErrorIs(t, lv.Err, want)
				for range 2 {
					ok, err := l.TryLock()
					require.False(t, ok)
					wantError(t, err, "lock", dir, want)
					var r *lock.RecordError
					require.ErrorAs(t, err, &r)
					require.Equal(t, path, r.Path)
					require.NotContains(t, err.Error(), secret)
					require.NotContains(t, err.Error(), "\x1b")
				}
				require.ErrorIs(t, l.Lock(), want)
				require.Equal(t, before, metas(t, dir))
			})
		}
		// Above the level that a recovery climbs to it is in nobody's way.
		t.Run(name+" at L3", func(t *testing.T) {
			dir := t.TempDir()
			putStale(t, dir, 0)
			test.put(t, filepath.Join(dir, "L3"))
			before := metas(t, dir)
			l := lock.New(dir)
			mustTry(t, l, true)
			require.NoError(t, l.Unlock())
			delete(before, "L0")
			if test.want == nil {
				delete(before, "L3")
			}
			require.Equal(t, before, metas(t, dir))
		})
	}
}

// A record that we may not read has an owner that we do not know.
func TestHostileUnreadable(t *testing.T) {
	needRoot(t)
	for _, level := range []string{"L0", "L1"} {
		dir := publicDir(t, 0o777)
		putStale(t, dir, 0, 1)
		require.NoError(t, os.Chmod(filepath.Join(dir, level), 0))
		before := metas(t, dir)
		a := startPeer(t, dir)
		a.must("setuid 65534", "ok")
		require.Regexp(t, `^error \[ErrPermission\]: lock `+dir+`: read `+dir+`/`+level+`: `, a.do("try"))
		require.Equal(t, before, metas(t, dir))
	}
}

func TestErrorNoPermission(t *testing.T) {
	needRoot(t)
	for mode, op := range map[os.FileMode]string{0o755: "", 0o700: "read .*/L0: "} {
		dir := publicDir(t, mode)
		a := startPeer(t, dir)
		a.must("setuid 65534", "ok")
		require.Regexp(t, `^error \[ErrPermission\]: lock `+dir+`: `+op, a.do("try"))
		require.Regexp(t, `^error \[ErrPermission\]: lock `+dir+`: `, a.do("lock"))
		require.Empty(t, names(t, dir))

		// A stale lock that we may not recover.
		putStale(t, dir, 0)
		before := metas(t, dir)
		require.Regexp(t, `^error \[ErrPermission\]: lock `+dir+`: `, a.do("try"))
		require.Equal(t, before, metas(t, dir))
		mustTake(t, dir)
	}
}

// The permission goes while the lock is held. Unlock says so, and works when it
// is back.
func TestErrorPermissionGone(t *testing.T) {
	needRoot(t)
	dir := publicDir(t, 0o777)
	a := startPeer(t, dir)
	a.must("setuid 65534", "ok")
	a.must("try", "true")
	require.NoError(t, os.Chmod(dir, 0o755))
	a.must("check", "ok")
	require.Regexp(t, `^error \[ErrPermission\]: unlock `+dir+`: remove `+dir+`/L0: `, a.do("unlock"))
	a.must("check", "ok")
	require.NoError(t, os.Chmod(dir, 0o700))
	require.Regexp(t, `^error \[ErrPermission\]: check `+dir+`: `, a.do("check"))
	require.Regexp(t, `^error \[ErrPermission\]: unlock `+dir+`: `, a.do("unlock"))
	mustTry(t, lock.New(dir), false)
	require.NoError(t, os.Chmod(dir, 0o777))
	a.must("check", "ok")
	a.must("unlock", "ok")
	require.Empty(t, names(t, dir))
}

func TestErrorReadOnly(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	a := startPeer(t, dir, privateMounts)
	a.must("mount "+dir+" size=64k", "ok")
	a.must("new "+dir, "ok")
	a.must("remount ro "+dir, "ok")
	for _, op := range []string{"try", "lock"} {
		require.Regexp(t, `^error \[EROFS\]: lock `+dir+`: `, a.do(op))
	}
	a.must("names "+dir, "[]")

	// (While a lock is held, the system refuses to make it read-only.)
	a.must("remount rw "+dir, "ok")
	a.must("crash "+dir, "ok")
	a.must("remount ro "+dir, "ok")
	require.Contains(t, a.do("state"), "dead")
	require.Regexp(t, `^error \[EROFS\]: lock `+dir+`: `, a.do("try"))
	a.must("names "+dir, "[L0]")
	a.must("remount rw "+dir, "ok")
	a.must("try", "true")
	a.must("unlock", "ok")
	a.must("names "+dir, "[]")
}

// A file system without room, or without inodes: an error, nothing left; what
// is held can be released, and what is stale waits.
func TestErrorFull(t *testing.T) {
	needRoot(t)
	for name, options := range map[string]string{
		"no room":   "size=16k",
		"no inodes": "size=64k,nr_inodes=8",
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			a := startPeer(t, dir, privateMounts)
			a.must("mount "+dir+" "+options, "ok")
			a.must("new "+dir, "ok")
			a.must("fill "+dir+"/filler", "ok")
			require.Regexp(t, `^error \[ENOSPC\]: lock `+dir+`: `, a.do("try"))
			require.NotContains(t, a.do("names "+dir), "L")
			require.NotContains(t, a.do("names "+dir), "dirlock")

			// Held, and full.
			a.must("unfill "+dir+"/filler", "ok")
			a.must("try", "true")
			a.must("fill "+dir+"/filler", "ok")
			a.must("check", "ok")
			a.must("unlock", "ok")
			require.NotContains(t, a.do("names "+dir), "L")
			a.must("unfill "+dir+"/filler", "ok")

			// Stale, and full.
			a.must("crash "+dir, "ok")
			a.must("fill "+dir+"/filler", "ok")
			full := a.do("names " + dir)
			require.Regexp(t, `^error \[ENOSPC\]: lock `+dir+`: `, a.do("try"))
			a.must("names "+dir, full)
			a.must("unfill "+dir+"/filler", "ok")
			a.must("try", "true")
			a.must("unlock", "ok")
			require.NotContains(t, a.do("names "+dir), "L")
		})
	}
}

// A process with a lease on a level file keeps it from being opened for a while.
// That is somebody in the way, and neither an error nor the end of a wait.
func TestLeaseIsInTheWay(t *testing.T) {
	dir := t.TempDir()
	dead := startPeer(t, dir)
	dead.must("try", "true")
	dead.kill()
	fd, err := unix.Open(filepath.Join(dir, "L0"), unix.O_RDWR|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	defer unix.Close(fd)
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, unix.SIGIO)
	defer signal.Stop(asked)
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETLEASE, unix.F_WRLCK); err != nil {
		t.Skip("no leases: ", err)
	}

	l := lock.New(dir)
	mustTry(t, l, false)
	s, err := l.Status()
	require.NoError(t, err)
	state, level := s.State()
	require.Equal(t, lock.Held, state)
	require.Equal(t, 16, lock.Row(level))
	require.Contains(t, level.Reason, "being opened")

	lock.BeforePause(l, func(time.Duration) {
		_, _ = unix.FcntlInt(uintptr(fd), unix.F_SETLEASE, unix.F_UNLCK)
	})
	require.NoError(t, l.Lock())
	require.NoError(t, l.Unlock())
}
