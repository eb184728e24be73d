package osfs

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/dirlock/dirlock/fsys"
)

// What a lock concludes from a free witness rests on these.
func TestKinds(t *testing.T) {
	none := unix.Mkdev(0, 45)
	for _, tt := range []struct {
		magic  uint32
		dev    uint64
		want   string
		local  bool
		direct bool
	}{
		{unix.EXT4_SUPER_MAGIC, unix.Mkdev(8, 1), "ext4", true, true},
		{unix.BTRFS_SUPER_MAGIC, none, "btrfs", true, true},
		{unix.TMPFS_MAGIC, none, "tmpfs", true, true},
		{unix.OVERLAYFS_SUPER_MAGIC, none, "overlay", true, false},
		{unix.FUSE_SUPER_MAGIC, unix.Mkdev(7, 1), "fuseblk", true, false},
		{unix.FUSE_SUPER_MAGIC, none, "fuse", false, false}, // sshfs, virtiofs
		{unix.NFS_SUPER_MAGIC, none, "nfs", false, false},
		{unix.CIFS_SUPER_MAGIC, none, "cifs", false, false},
		{unix.SMB_SUPER_MAGIC, none, "smb", false, false},
		{unix.SMB2_SUPER_MAGIC, none, "smb2", false, false},
		{unix.V9FS_MAGIC, none, "9p", false, false},
		{unix.CEPH_SUPER_MAGIC, none, "ceph", false, false},
		{unix.AFS_SUPER_MAGIC, none, "afs", false, false},
		{unix.OCFS2_SUPER_MAGIC, unix.Mkdev(8, 1), "ocfs2", false, false},
		{0x01161970, unix.Mkdev(8, 1), "gfs2", false, false},
		{unix.ECRYPTFS_SUPER_MAGIC, none, "ecryptfs", false, false},
		{0x12345678, unix.Mkdev(8, 1), "0x12345678", false, false},
	} {
		require.Equal(t, fsKind{tt.want, tt.local, tt.direct}, kindOf(tt.magic, tt.dev), tt.want)
	}
	// No other one is local.
	var local []string
	for _, k := range kinds {
		if k.local {
			local = append(local, k.name)
		}
	}
	require.ElementsMatch(t, []string{
		"ext4", "xfs", "btrfs", "bcachefs", "f2fs", "nilfs2", "reiserfs", "tmpfs",
		"ramfs", "vfat", "exfat", "udf", "jffs2", "zfs", "jfs", "ubifs", "ntfs3", "hfsplus", "overlay",
	}, local)
}

// ForgetMounts has the kernel asked again what file systems are mounted.
func ForgetMounts() { lastMount.Store(nil) }

// What is known of a mount is used for that one alone.
func TestKnownMount(t *testing.T) {
	defer ForgetMounts()
	n, err := New().Dir(t.TempDir())
	require.NoError(t, err)
	right, err := fsys.Locate(n)
	require.NoError(t, err)
	m := lastMount.Load()
	if m == nil {
		t.Skip("the kernel has no numbers for mounts that it does not use again")
	}
	for _, other := range []knownMount{
		{m.id + 1, m.dev, fsys.Location{Type: "nfs"}},
		{m.id, m.dev + 1, fsys.Location{Type: "nfs"}},
	} {
		lastMount.Store(&other)
		loc, err := fsys.Locate(n)
		require.NoError(t, err)
		require.Equal(t, right, loc)
	}
}

// What one file system can do says nothing about the next one on that path.
func TestAbilitiesAreOfOneFileSystem(t *testing.T) {
	var m memory
	on := func(dev uint64, fstype string) *facts {
		return &facts{id: fileID{dev: dev}, Location: fsys.Location{Type: fstype}}
	}
	a := m.of(on(1, "ext4"))
	a.setWitness(fsys.Held)
	a.lacks(byLink)
	a.lacks(byUnnamed)
	require.Equal(t, byRename, m.of(on(1, "ext4")).way.Load())
	for _, f := range []*facts{on(2, "ext4"), on(2, "nfs")} {
		other := m.of(f)
		_, known := other.knownWitness()
		require.False(t, known)
		require.Equal(t, byUnnamed, other.way.Load())
		other.setWitness(fsys.Held)
		other.lacks(byUnnamed)
	}
}

// Links by way of /proc are what kernels before 6.10 allow everybody.
func TestLinkByProc(t *testing.T) {
	defer byProc.Store(byProc.Load())
	byProc.Store(true)
	d, err := New().Dir(t.TempDir())
	require.NoError(t, err)
	f, err := d.Create("L0", []byte("x"))
	require.NoError(t, err)
	defer f.Close()
	require.Equal(t, byUnnamed, Way(d), "an unnamed file was linked in")
	_, err = d.Create("L0", []byte("x"))
	require.ErrorIs(t, err, unix.EEXIST)
}

// A sweep that looks at a temporary file before it is locked takes it away.
func TestSweptBeforeItWasLocked(t *testing.T) {
	n, err := New().Dir(t.TempDir())
	require.NoError(t, err)
	d, err := n.(*named).open()
	require.NoError(t, err)
	defer d.Close()
	temp := tempName()
	fd, err := openat(d.fd, temp, toMake, 0o644)
	require.NoError(t, err)
	f := &osFile{d: d, fd: fd}
	defer f.Close()

	sweeper, err := d.openToLook(temp)
	require.NoError(t, err)
	require.Equal(t, fsys.Free, probe(sweeper, true))
	_, err = lockNew(f.fd, false)
	require.Equal(t, unix.EWOULDBLOCK, err)
	require.NoError(t, closeFD(sweeper))

	require.NoError(t, d.sweepFile(temp))
	require.NoError(t, f.takeWitness())
	for _, way := range []uint32{byLink, byRename, byGuard} {
		SetWay(n, way)
		a, err := d.abilities()
		require.NoError(t, err)
		require.Equal(t, errSwept, d.publish(a, f, temp, "L0"))
	}
}

// What was made ready may be of no use: the directory is on another file system
// by now, or the system links no unnamed file. Then the file is made as ever.
func TestPreparedInVain(t *testing.T) {
	there, err := New().Dir(t.TempDir())
	require.NoError(t, err)
	shm, err := os.MkdirTemp("/dev/shm", "dirlock-test-")
	require.NoError(t, err)
	defer os.RemoveAll(shm)
	here, err := New().Dir(shm)
	require.NoError(t, err)
	prepared := func() *osPrepared {
		p, err := fsys.Prepare(there, 10)
		if errors.Is(err, errors.ErrUnsupported) {
			t.Skip(err)
		}
		require.NoError(t, err)
		return p.(*osPrepared)
	}

	p := prepared()
	f, err := p.CreateIn(here, "L0", []byte("x"))
	require.NoError(t, err)
	require.NoError(t, p.Close())
	s, err := here.Read("L0")
	require.NoError(t, err)
	require.Equal(t, "x", string(s.Data))
	require.Equal(t, fsys.Held, s.Witness)

	p = prepared()
	for range 3 {
		_, err := p.CreateIn(here, "L0", []byte("y"))
		require.ErrorIs(t, err, fs.ErrExist)
	}
	require.NoError(t, errors.Join(here.Remove("L0"), f.Close()))
	f, err = p.CreateIn(here, "L0", []byte("y"))
	require.NoError(t, err)
	require.NoError(t, errors.Join(here.Remove("L0"), f.Close()))
}

func TestWords(t *testing.T) {
	require.Equal(t, "none free held", fsys.NoWitness.String()+" "+fsys.Free.String()+" "+fsys.Held.String())
}

// bare is a directory that can do nothing more than it must.
type bare struct{ fsys.Dir }

func TestAbilitiesThatAreMissing(t *testing.T) {
	d, err := New().Dir(t.TempDir())
	require.NoError(t, err)
	b := bare{d}
	loc, err := fsys.Locate(b)
	yes := loc.Local
	require.NoError(t, err)
	require.False(t, yes)
	kind, err := fsys.Witnesses(b)
	yes = kind != fsys.NoWitness
	require.NoError(t, err)
	require.False(t, yes)
	require.NoError(t, fsys.Sweep(b))
	_, _, err = fsys.Watch(b, "L0")
	require.ErrorIs(t, err, errors.ErrUnsupported)
}

// When events were lost, every waiter looks, and goes on waiting.
func TestEventsWereLost(t *testing.T) {
	d, err := New().Dir(t.TempDir())
	require.NoError(t, err)
	f, err := d.Create("L0", []byte("x"))
	require.NoError(t, err)
	defer f.Close()
	changed, stop, err := fsys.Watch(d, "L0")
	require.NoError(t, err)
	defer stop()
	events.mu.Lock()
	watcher := events.watcher
	events.mu.Unlock()
	events.startOver(watcher)
	<-changed
	require.NoError(t, d.Remove("L0"))
	<-changed
	events.startOver(nil) // A watcher that has been closed meanwhile: nothing happens.
}

// A file that others replace all the time is watched as well as that can be, and
// the waiter is told to look itself.
func TestFileIsNeverTheSame(t *testing.T) {
	path := filepath.Join(t.TempDir(), "L0")
	require.NoError(t, os.WriteFile(path, nil, 0o644))
	w := newWaiter(path)
	looks := uint64(0)
	w.look = func() (fileID, error) {
		looks++
		return fileID{0, looks}, nil
	}
	require.NoError(t, events.add(w))
	defer events.remove(w)
	require.EqualValues(t, 2*watchTries, looks)
	select {
	case <-w.changed:
	default:
		t.Fatal("nobody told it that the file had changed")
	}
}

// Nothing is left a while after the last waiter has gone.
func TestWatcherIsClosed(t *testing.T) {
	d, err := New().Dir(t.TempDir())
	require.NoError(t, err)
	f, err := d.Create("L0", []byte("x"))
	require.NoError(t, err)
	defer f.Close()
	for range 10000 {
		_, stop, err := fsys.Watch(d, "L0")
		require.NoError(t, err)
		stop()
	}
	events.mu.Lock()
	watcher := events.watcher
	events.mu.Unlock()
	if watcher != nil {
		require.Zero(t, kernelWatches(t))
		<-watcher.done
	}
	_, stop, err := fsys.Watch(d, "L0")
	require.NoError(t, err)
	stop()
	stop()
}

// The owner of a file that is gone has it still open, so that the system goes
// on watching it: the watch must go when the name gets another file, and its
// waiters must learn of it, although its last events may be dropped with it.
func TestNextFileTakesTheWatch(t *testing.T) {
	d, err := New().Dir(t.TempDir())
	require.NoError(t, err)
	for range 200 {
		first, err := d.Create("L0", []byte("x"))
		require.NoError(t, err)
		one, stop1, err := fsys.Watch(d, "L0")
		require.NoError(t, err)
		require.NoError(t, d.Remove("L0"))
		second, err := d.Create("L0", []byte("x"))
		require.NoError(t, err)
		two, stop2, err := fsys.Watch(d, "L0")
		require.NoError(t, err)
		// A late event of the first file may have the watch taken off and put
		// on again at this moment.
		require.Eventually(t, func() bool { return kernelWatches(t) == 1 }, 10*time.Second, time.Millisecond)
		<-one
		require.NoError(t, d.Remove("L0"))
		<-two
		stop1()
		stop2()
		require.Zero(t, kernelWatches(t))
		require.NoError(t, errors.Join(first.Close(), second.Close()))
	}
}

// The number of a directory that is gone is used again, before the watch of the
// first one has ended: who watches the new one must get a watch of it.
func TestNextDirectoryOfThatNumber(t *testing.T) {
	path := filepath.Join(t.TempDir(), "d")
	require.NoError(t, os.Mkdir(path, 0o755))
	d, err := New().Dir(path)
	require.NoError(t, err)
	first, stop, err := fsys.WatchMove(d)
	require.NoError(t, err)
	defer stop()
	require.Equal(t, 1, kernelWatches(t))

	// The kernel ends the watch of what is gone, and says so in a while.
	events.mu.Lock()
	for _, number := range events.watcher.byName {
		_, err := unix.InotifyRmWatch(events.watcher.fd, uint32(number))
		require.NoError(t, err)
	}
	second := newWaiter(path)
	for w := range events.waiters {
		second.dir, second.look = w.dir, w.look
	}
	err = events.watch(second)
	watches := kernelWatches(t)
	events.waiters[second] = struct{}{}
	events.mu.Unlock()
	defer events.remove(second)
	require.NoError(t, err)
	require.Equal(t, 1, watches)
	require.NoError(t, os.Rename(path, path+"-moved"))
	<-second.changed
	<-first
	require.Equal(t, 1, kernelWatches(t))
}

// kernelWatches counts what /proc/self/fdinfo shows of inotify (see
// proc_pid_fdinfo(5)).
func kernelWatches(t *testing.T) int {
	files, err := filepath.Glob("/proc/self/fdinfo/*")
	require.NoError(t, err)
	n := 0
	for _, file := range files {
		if data, err := os.ReadFile(file); err == nil {
			n += strings.Count(string(data), "inotify wd:")
		}
	}
	return n
}
