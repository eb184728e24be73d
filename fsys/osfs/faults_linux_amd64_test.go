package osfs_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/dirlock/dirlock/fsys"
	"github.com/dirlock/dirlock/fsys/osfs"
)

// Where a sandbox does not let the kernel say what file system it is, nobody
// knows that no other machine can reach it.
func TestLocateInASandbox(t *testing.T) {
	d := openDir(t, t.TempDir())
	osfs.ForgetMounts()
	for _, errno := range []unix.Errno{unix.ENOSYS, unix.EPERM} {
		withFaults(t, func() {
			loc, err := fsys.Locate(d)
			require.NoError(t, err)
			require.False(t, loc.Local, errno)
			require.False(t, loc.Direct)
			require.Empty(t, loc.Type)
			require.NotEmpty(t, loc.Mount)
		}, fault{call: unix.SYS_FSTATFS, err: errno})
	}
	withFaults(t, func() {
		_, err := fsys.Locate(d)
		require.ErrorIs(t, err, unix.EIO)
		_, err = d.Create("L0", nil)
		require.ErrorIs(t, err, unix.EIO)
	}, fault{call: unix.SYS_FSTATFS, err: unix.EIO})
	loc, err := fsys.Locate(d)
	require.NoError(t, err)
	require.True(t, loc.Local, "an answer of before was remembered")
}

// When locks are short there is no witness, but there is one later.
func TestShortageOfLocksPasses(t *testing.T) {
	noFlock := fault{call: unix.SYS_FLOCK, err: unix.ENOLCK}
	noWriteLock := fault{call: unix.SYS_FCNTL, cmd: unix.F_OFD_SETLK, err: unix.ENOLCK}
	for _, test := range []struct {
		local        bool
		faults       []fault
		short, later fsys.Witness
	}{
		{true, []fault{noFlock}, fsys.Held, fsys.Held}, // not needed
		{true, []fault{noWriteLock}, fsys.HeldWeakly, fsys.Held},
		{true, []fault{noFlock, noWriteLock}, fsys.NoWitness, fsys.Held},
		{false, []fault{noFlock}, fsys.NoWitness, fsys.HeldWeakly},
	} {
		d := openDir(t, t.TempDir())
		osfs.SetLocal(d, test.local)
		withFaults(t, func() {
			kind := witnesses(t, d)
			require.Equal(t, test.short, kind)
			f, err := d.Create("L0", []byte("x"))
			require.NoError(t, err)
			s, err := d.Read("L0")
			require.NoError(t, err)
			require.Equal(t, kind, max(s.Witness, fsys.NoWitness))
			require.NoError(t, errors.Join(d.Remove("L0"), f.Close()))
		}, test.faults...)
		require.Equal(t, test.later, witnesses(t, d))
	}
}

// What was made ready while locks were short has no witness, or a weak one. It
// must not become a file of which a record promises more.
func TestPreparedWhileLocksWereShort(t *testing.T) {
	for _, x := range []fault{
		{call: unix.SYS_FLOCK, err: unix.ENOLCK},
		{call: unix.SYS_FCNTL, cmd: unix.F_OFD_SETLK, err: unix.ENOLCK},
	} {
		d := openDir(t, t.TempDir())
		var p fsys.Prepared
		withFaults(t, func() {
			var err error
			if p, err = fsys.Prepare(d, 1); err != nil {
				p = nil
			}
		}, x)
		require.Equal(t, fsys.Held, witnesses(t, d))
		if p == nil {
			continue
		}
		f, err := p.CreateIn(d, "L0", []byte("x"))
		require.NoError(t, err)
		s, err := d.Read("L0")
		require.NoError(t, err)
		require.Equal(t, fsys.Held, s.Witness)
		require.NoError(t, errors.Join(d.Remove("L0"), f.Close()))
	}
}

// A file system or a kernel that has no locks is not asked for each file.
func TestLocksAreMissing(t *testing.T) {
	missing := []fault{{call: unix.SYS_FLOCK, err: unix.ENOSYS}, {call: unix.SYS_FCNTL, cmd: unix.F_OFD_SETLK, err: unix.EINVAL}}
	d := openDir(t, t.TempDir())
	withFaults(t, func() { require.Equal(t, fsys.NoWitness, witnesses(t, d)) }, missing...)
	require.Equal(t, fsys.NoWitness, witnesses(t, d))

	// Kernels before 3.15; and one that takes the lock, and shows it to nobody.
	for _, cmd := range []uint32{unix.F_OFD_SETLK, unix.F_OFD_GETLK} {
		d = openDir(t, t.TempDir())
		withFaults(t, func() {
			require.Equal(t, fsys.HeldWeakly, witnesses(t, d))
			f, err := d.Create("L0", []byte("x"))
			require.NoError(t, err)
			defer f.Close()
			s, err := d.Read("L0")
			require.NoError(t, err)
			require.Equal(t, fsys.HeldWeakly, s.Witness)
		}, fault{call: unix.SYS_FCNTL, cmd: cmd, err: unix.EINVAL})
	}
}

// A sandbox that forbids one of the questions must not make a file look free.
func TestQuestionsAreRefused(t *testing.T) {
	for _, errno := range []syscall.Errno{unix.EINVAL, unix.EPERM, unix.ENOSYS} {
		for _, local := range []bool{true, false} {
			d := openDir(t, t.TempDir())
			osfs.SetLocal(d, local)
			witnesses(t, d)
			f, err := d.Create("L0", []byte("x"))
			require.NoError(t, err)
			for _, x := range []fault{
				{call: unix.SYS_FCNTL, cmd: unix.F_OFD_GETLK, err: errno},
				{call: unix.SYS_FLOCK, err: errno},
			} {
				withFaults(t, func() {
					s, err := d.Read("L0")
					require.NoError(t, err)
					require.NotEqual(t, fsys.Free, s.Witness, "%v", x)
				}, x)
			}
			require.NoError(t, f.Close())
		}
	}
}

// A record says that its file carries a witness. It must not be published
// without.
func TestPromisedWitness(t *testing.T) {
	for _, x := range []fault{
		{call: unix.SYS_FLOCK, err: unix.ENOLCK},
		{call: unix.SYS_FLOCK, err: unix.ENOSYS},
		{call: unix.SYS_FCNTL, cmd: unix.F_OFD_SETLK, err: unix.ENOLCK},
		{call: unix.SYS_FCNTL, cmd: unix.F_OFD_SETLK, err: unix.EINVAL},
	} {
		for name, way := range ways {
			if x.call == unix.SYS_FLOCK && name == "guard" {
				continue // Where other machines come, creators take no turns.
			}
			d := openDir(t, t.TempDir())
			osfs.SetWay(d, way)
			promised := fsys.Held
			if x.call == unix.SYS_FLOCK {
				promised = fsys.HeldWeakly
				osfs.SetLocal(d, false)
			}
			require.Equal(t, promised, witnesses(t, d))
			withFaults(t, func() {
				_, err := d.Create("L0", []byte("x"))
				require.ErrorIs(t, err, x.err)
				require.ErrorContains(t, err, "lock the new file")
			}, x)
			require.Empty(t, names(t, d))
			f, err := d.Create("L0", []byte("x"))
			require.NoError(t, err)
			require.NoError(t, f.Close())
		}
	}
}

// An error after a thing was done is no failure, and after nothing it is one.
func TestLostReplies(t *testing.T) {
	try := func(way, call string, number uintptr, errs []unix.Errno, op func(d fsys.Dir) error, want ...string) {
		for _, errno := range errs {
			for _, done := range []bool{true, false} {
				t.Run(fmt.Sprint(way, " ", call, " ", errno, " ", done), func(t *testing.T) {
					d := openDir(t, t.TempDir())
					osfs.SetWay(d, ways[way])
					old, err := d.Create("old", []byte("old"))
					require.NoError(t, err)
					defer old.Close()
					withFaults(t, func() { err = op(d) }, fault{call: number, err: errno, done: done})
					if done {
						require.NoError(t, err)
						require.ElementsMatch(t, want, names(t, d))
						return
					}
					require.ErrorIs(t, err, errno)
					require.Equal(t, []string{"old"}, names(t, d))
				})
			}
		}
	}
	create := func(d fsys.Dir) error {
		f, err := d.Create("L0", []byte("x"))
		if err != nil {
			return err
		}
		defer f.Close()
		ok, err := f.Intact("L0")
		require.True(t, ok)
		return err
	}
	lost := []unix.Errno{unix.EEXIST, unix.EIO, unix.ETIMEDOUT}
	try("unnamed", "linkat", unix.SYS_LINKAT, lost, create, "old", "L0")
	try("link", "linkat", unix.SYS_LINKAT, lost, create, "old", "L0")
	try("rename", "renameat2", unix.SYS_RENAMEAT2, lost, create, "old", "L0")
	try("guard", "renameat", unix.SYS_RENAMEAT, lost[1:], create, "old", "L0")
	try("unnamed", "replace", unix.SYS_RENAMEAT, lost[1:], func(d fsys.Dir) error { return d.Replace("old", "L0") }, "L0")
	try("unnamed", "remove", unix.SYS_UNLINKAT, []unix.Errno{unix.EIO, unix.ESTALE}, func(d fsys.Dir) error { return d.Remove("old") })
}

// A server has removed the file, and the directory's entry is not up to date.
func TestStaleIsGone(t *testing.T) {
	d := opened(t, openDir(t, t.TempDir()))
	f, err := d.Create("L0", []byte("x"))
	require.NoError(t, err)
	defer f.Close()
	for _, call := range []uintptr{unix.SYS_OPENAT, unix.SYS_FSTAT, unix.SYS_READ} {
		withFaults(t, func() {
			_, err := d.Read("L0")
			require.ErrorIs(t, err, fs.ErrNotExist, call)
		}, fault{call: call, err: unix.ESTALE})
	}
	withFaults(t, func() {
		ok, err := f.Intact("L0")
		require.NoError(t, err)
		require.False(t, ok)
	}, fault{call: unix.SYS_NEWFSTATAT, err: unix.ESTALE})
}

// A process with a lease on a file is asked to give it back before another one
// can open it.
func TestLease(t *testing.T) {
	dir := t.TempDir()
	d := openDir(t, dir)
	f, err := d.Create("L0", []byte("x"))
	require.NoError(t, err)
	require.NoError(t, f.Close())

	asked := make(chan os.Signal, 1)
	signal.Notify(asked, unix.SIGIO)
	defer signal.Stop(asked)
	lease := func() int {
		fd, err := unix.Open(filepath.Join(dir, "L0"), unix.O_RDWR|unix.O_CLOEXEC, 0)
		require.NoError(t, err)
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETLEASE, unix.F_WRLCK); err != nil {
			t.Skip("no leases: ", err)
		}
		return fd
	}
	fd := lease()
	gaveBack := make(chan error)
	go func() {
		<-asked
		_, err := unix.FcntlInt(uintptr(fd), unix.F_SETLEASE, unix.F_UNLCK)
		gaveBack <- err
	}()
	s, err := d.Read("L0")
	require.NoError(t, err)
	require.Equal(t, "x", string(s.Data))
	require.NoError(t, <-gaveBack)
	require.NoError(t, unix.Close(fd))

	fd = lease() // and keeps it
	defer unix.Close(fd)
	_, err = d.Read("L0")
	require.ErrorIs(t, err, fsys.ErrBusy)
}

// A directory that comes and goes under the name, beside a rename, is somebody
// who was faster, and not a directory that is missing.
func TestRenameBesideADirectory(t *testing.T) {
	d := openDir(t, t.TempDir())
	osfs.SetWay(d, osfs.ByGuard)
	witnesses(t, d)
	for _, errno := range []syscall.Errno{unix.ENOENT, unix.EISDIR} {
		withFaults(t, func() {
			_, err := d.Create("L0", []byte("x"))
			require.ErrorIs(t, err, fs.ErrExist)
		}, fault{call: unix.SYS_RENAMEAT, err: errno})
		require.NotContains(t, names(t, d), "L0")
	}
}
