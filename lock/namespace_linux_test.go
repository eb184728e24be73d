package lock_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/dirlock/dirlock/lock"
)

// Two containers, or one and its host, share a directory. Both owners may have
// PID 1, and nobody sees the processes of the other: the kernel's lock on the
// file is what tells.
func TestContainers(t *testing.T) {
	for name, procfs := range map[string]place{"own procfs": container, "host's procfs": bare} {
		for _, pair := range []struct {
			name              string
			holder, contender place
		}{
			{"siblings", procfs, procfs},
			{"holder on the host", host, procfs},
			{"contender on the host", procfs, host},
		} {
			t.Run(name+"/"+pair.name, func(t *testing.T) {
				dir := localDir(t)
				holder := start(t, dir, pair.holder)
				contender := start(t, dir, pair.contender)
				if pair.name == "siblings" {
					require.Equal(t, 1, holder.pid)
					require.Equal(t, 1, contender.pid)
				}
				require.True(t, holder.try())

				assert.False(t, contender.try(), "the holder lives")
				assert.Equal(t, fmt.Sprint(holder.pid, " alive: it holds the kernel's lock on the file"), contender.do("state"))

				holder.kill()
				assert.Equal(t, fmt.Sprint(holder.pid, " dead: it does not hold the kernel's lock on the file"), contender.do("state"))
				assert.True(t, contender.try(), "the holder is dead")
			})
		}
	}
}

// Without the kernel's lock on the file nothing tells whether the process of
// another container lives.
func TestContainersBlind(t *testing.T) {
	dir := localDir(t)
	holder := start(t, dir, container.blind())
	contender := start(t, dir, container.blind())
	require.True(t, holder.try())
	assert.False(t, contender.try())
	holder.kill()
	assert.False(t, contender.try())
	assert.Contains(t, contender.do("state"), " unknown: ")
}

// Two processes have mounted one file system twice, as containers do over a
// network: the kernel takes one file for two, so that its lock is not seen. This
// is made of an overlay here, and the directory that is under it.
func TestMountedTwice(t *testing.T) {
	top := t.TempDir()
	mount(t, "tmpfs", top, "mode=755")
	dirs := map[string]string{}
	for _, name := range []string{"lower", "upper", "work", "merged"} {
		dirs[name] = filepath.Join(top, name)
		require.NoError(t, os.Mkdir(dirs[name], 0o755))
	}
	mount(t, "overlay", dirs["merged"],
		fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", dirs["lower"], dirs["upper"], dirs["work"]))
	network := func(p place) place { p.Network = true; return p }

	t.Run("containers", func(t *testing.T) {
		holder := start(t, dirs["merged"], network(container))
		same := start(t, dirs["merged"], network(container))
		other := start(t, dirs["upper"], network(container))
		require.True(t, holder.try())
		assert.False(t, same.try(), "the holder lives")
		assert.False(t, other.try(), "the holder lives")
		assert.Equal(t, "1 unknown: it runs in another PID namespace, and the kernel's lock on its file cannot be seen from here", other.do("state"))
		holder.kill()
		assert.False(t, other.try(), "the holder may live")
		assert.True(t, same.try(), "the holder is dead")
		same.must("unlock", "ok")
	})
	t.Run("start time not known", func(t *testing.T) {
		holder := start(t, dirs["merged"], network(place{Boottime: 1_000_000}))
		other := start(t, dirs["upper"], network(host))
		require.True(t, holder.try())
		assert.False(t, other.try(), "the holder lives")
		holder.kill()
		assert.True(t, other.try(), "the holder is dead")
	})
}

func mount(t *testing.T, fstype, target, options string) {
	t.Helper()
	if err := unix.Mount(fstype, target, fstype, 0, options); err != nil {
		t.Skipf("mount %s: %v", fstype, err)
	}
	t.Cleanup(func() { assert.NoError(t, unix.Unmount(target, unix.MNT_DETACH)) })
}

// Two contenders ask the kernel for the same dead owner's lock: neither takes
// the other for the owner.
func TestContainersBothAsk(t *testing.T) {
	dir := localDir(t)
	holder, contender := start(t, dir, container), start(t, dir, container)
	require.True(t, holder.try())
	holder.kill()
	f, err := os.Open(level(dir, 0))
	require.NoError(t, err)
	defer f.Close()
	require.NoError(t, unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB))
	assert.True(t, contender.try())
}

// A container that is started again has the same PIDs, and often the same
// namespace number, which the kernel uses again.
func TestContainerRestarts(t *testing.T) {
	dir := localDir(t)
	for range 20 {
		c := start(t, dir, container)
		require.Equal(t, 1, c.pid)
		require.True(t, c.try())
		c.kill()
	}
	names, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, names, 1, "only the last owner's L0 is left")
}

// An LXC container can have a boot ID of its own, although its kernel is the
// host's: its live processes must not be taken for ones of an earlier boot.
func TestContainerWithOwnBootID(t *testing.T) {
	if _, err := os.Stat("/proc/sys/kernel/random/boot_id"); err != nil {
		t.Skip(err)
	}
	id := filepath.Join(t.TempDir(), "boot_id")
	require.NoError(t, os.WriteFile(id, []byte("6f1f1a66-5d6b-4c30-9d5c-3c1d6c1c7a01\n"), 0o444))
	lxc := bare
	lxc.Binds = map[string]string{"/proc/sys/kernel/random/boot_id": id}

	for _, pair := range [][2]place{{lxc, host}, {host, lxc}, {lxc, container}} {
		dir := localDir(t)
		holder, contender := start(t, dir, pair[0]), start(t, dir, pair[1])
		require.True(t, holder.try())
		assert.False(t, contender.try(), "the holder lives")
		holder.kill()
		assert.True(t, contender.try(), "the holder is dead")
	}
}

// A process without a procfs knows neither its boot nor its namespace, nor when
// it started.
func TestWithoutProcfs(t *testing.T) {
	for _, pair := range [][2]place{
		{{Flags: unix.CLONE_NEWNS, NoProc: true}, host},
		{host, {Flags: unix.CLONE_NEWNS, NoProc: true}},
		{{Flags: unix.CLONE_NEWNS, NoProc: true}, {Flags: unix.CLONE_NEWNS, NoProc: true}},
	} {
		dir := localDir(t)
		holder, contender := start(t, dir, pair[0]), start(t, dir, pair[1])
		require.True(t, holder.try())
		assert.False(t, contender.try(), "the holder lives")
		holder.kill()
		assert.True(t, contender.try(), "the holder is dead")
	}
}

// Where /proc shows the processes of a container that one is not in, it does
// not even tell one's own namespace. Two such processes may be in different
// ones, so that a PID means nothing between them.
func TestForeignProcfs(t *testing.T) {
	third := start(t, t.TempDir(), container)
	lost := place{
		Flags: unix.CLONE_NEWPID,
		Under: []string{"nsenter", fmt.Sprintf("--mount=/proc/%d/ns/mnt", third.cmd.Process.Pid)},
	}
	// A shell comes first in the holder's container, so that the holder's PID
	// is not that of a process in the contender's.
	second := lost
	second.Under = append(slices.Clone(lost.Under), "sh", "-c", `exec 3<&0; "$@" <&3 & wait`, "sh")

	t.Run("witness", func(t *testing.T) {
		dir := localDir(t)
		holder, contender := start(t, dir, second), start(t, dir, lost)
		require.True(t, holder.try())
		assert.False(t, contender.try(), "the holder lives")
		holder.kill()
		assert.True(t, contender.try(), "the holder is dead")
	})
	t.Run("blind", func(t *testing.T) {
		dir := localDir(t)
		holder, contender := start(t, dir, second.blind()), start(t, dir, lost.blind())
		require.NotEqual(t, 1, holder.pid)
		require.Equal(t, 1, contender.pid)
		require.True(t, holder.try())
		assert.False(t, contender.try(), "the holder lives")
	})
}

// Something is mounted over the working directory: its path leads to another
// directory, whose owner is nobody's business here.
func TestWorkingDirectoryMountedOver(t *testing.T) {
	dir := filepath.Join(localDir(t), "dir")
	require.NoError(t, os.Mkdir(dir, 0o777))
	t.Chdir(dir)
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, ""); err != nil {
		t.Skip("mount:", err)
	}
	defer func() { require.NoError(t, unix.Unmount(dir, unix.MNT_DETACH)) }()
	startHolder(t, dir)
	below := lock.New(".")
	mustTry(t, below, true)
	require.NoError(t, below.Unlock())
}
