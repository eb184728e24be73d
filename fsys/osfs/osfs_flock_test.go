//go:build darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd

package osfs_test

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/dirlock/dirlock/fsys"
	"github.com/dirlock/dirlock/fsys/fsystest"
	"github.com/dirlock/dirlock/fsys/osfs"
)

// TestMain makes the test binary its own second process: see command.
func TestMain(m *testing.M) {
	if args := os.Getenv("DIRLOCK_TEST_PROCESS"); args != "" {
		args := strings.Split(args, "\n")
		processes[args[0]](args[1:])
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// processes are what the test binary can be.
var processes = map[string]func(args []string){
	"create in a loop": createInALoop,
	"try":              try,
}

func command(t *testing.T, process string, args ...string) *exec.Cmd {
	t.Helper()
	binary, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(binary)
	cmd.Stderr = os.Stderr
	cmd.Env = append(os.Environ(), "DIRLOCK_TEST_PROCESS="+strings.Join(append([]string{process}, args...), "\n"))
	return cmd
}

func openDir(t testing.TB, path string) fsys.Dir {
	t.Helper()
	d, err := osfs.New().Dir(path)
	require.NoError(t, err)
	return d
}

var ways = map[string]uint32{"unnamed": osfs.ByUnnamed, "link": osfs.ByLink, "rename": osfs.ByRename, "guard": osfs.ByGuard}

// wayFS is the real file system, lacking the better ways.
type wayFS struct{ way uint32 }

func (w wayFS) Dir(name string) (fsys.Dir, error) {
	d, err := osfs.New().Dir(name)
	if err == nil {
		osfs.SetWay(d, w.way)
		osfs.SetLocal(d, true)
	}
	return d, err
}

func TestWays(t *testing.T) {
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			fsystest.Run(t, fsystest.Backend{New: func() (fsys.FS, string) { return wayFS{way}, t.TempDir() }})
		})
	}
}

func createInALoop(args []string) {
	d, _ := osfs.New().Dir(args[0])
	osfs.SetWay(d, ways[args[1]])
	osfs.SetLocal(d, true)
	for {
		f, err := d.Create("L0", []byte(strings.Repeat("x", 300)))
		if err != nil {
			panic(err)
		}
		if err := errors.Join(d.Remove("L0"), f.Close()); err != nil {
			panic(err)
		}
		fmt.Println("again")
	}
}

func TestKilledInTheMiddle(t *testing.T) {
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for i := range 8 {
				cmd := command(t, "create in a loop", dir, name)
				out, err := cmd.StdoutPipe()
				require.NoError(t, err)
				require.NoError(t, cmd.Start())
				lines := bufio.NewScanner(out)
				for range 1 + i*5 {
					require.True(t, lines.Scan())
				}
				require.NoError(t, cmd.Process.Kill())
				_ = cmd.Wait()

				d := openDir(t, dir)
				if way == osfs.ByUnnamed {
					names, err := d.List(osfs.TempPrefix)
					require.NoError(t, err)
					require.Empty(t, names, "a dead process left its temporary file")
				}
				require.NoError(t, fsys.Sweep(d))
				names, err := d.List("")
				require.NoError(t, err)
				switch len(names) {
				case 0:
				case 1:
					s, err := d.Read("L0")
					require.NoError(t, err)
					require.Len(t, s.Data, 300)
					require.Equal(t, fsys.Free, s.Witness)
					require.NoError(t, d.Remove("L0"))
				default:
					t.Fatalf("left behind: %q", names)
				}
			}
		})
	}
}

func TestSweep(t *testing.T) {
	dir := t.TempDir()
	d := openDir(t, dir)
	temp := func(name string) string { return osfs.TempPrefix + strings.Repeat("2", 26) + name }
	dead := filepath.Join(dir, temp("DEAD"))
	require.NoError(t, os.WriteFile(dead, nil, 0o600))
	alive := filepath.Join(dir, temp("ALIVE"))
	fd, err := unix.Open(alive, unix.O_CREAT|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	require.NoError(t, err)
	defer unix.Close(fd)
	require.NoError(t, unix.Flock(fd, unix.LOCK_EX))
	others := []string{"L0", ".dirlock-", ".dirlock-notes", ".dirlock-DEAD", temp(".txt"), temp("0"), "x" + temp("")}
	for _, name := range others {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
	}

	require.NoError(t, fsys.Sweep(d))
	names, err := d.List("")
	require.NoError(t, err)
	require.ElementsMatch(t, append(others, temp("ALIVE")), names)

	require.NoError(t, os.Mkdir(filepath.Join(dir, temp("DIRECTORY")), 0o755))
	err = fsys.Sweep(d)
	require.ErrorIs(t, err, fsys.ErrNotRegular)
	require.DirExists(t, filepath.Join(dir, temp("DIRECTORY")))
	require.ErrorIs(t, fsys.Sweep(openDir(t, filepath.Join(dir, "missing"))), fs.ErrNotExist)
}

func TestGuardIsBusy(t *testing.T) {
	dir := t.TempDir()
	d := openDir(t, dir)
	osfs.SetWay(d, osfs.ByGuard)
	osfs.SetLocal(d, true)
	f, err := d.Create("L1", []byte("x"))
	require.NoError(t, err)
	defer f.Close()

	// A lock on the directory, which anybody can have, hinders nobody.
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	defer unix.Close(fd)
	require.NoError(t, unix.Flock(fd, unix.LOCK_EX))
	g, err := d.Create("L2", []byte("x"))
	require.NoError(t, err)
	require.NoError(t, errors.Join(d.Remove("L2"), g.Close()))

	// Another process is stopped in the middle of an operation.
	guard := filepath.Join(dir, osfs.GuardName)
	fd, err = unix.Open(guard, unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC, 0o666)
	require.NoError(t, err)
	defer unix.Close(fd)
	require.NoError(t, unix.Flock(fd, unix.LOCK_EX))
	_, err = d.Create("L0", []byte("x"))
	require.ErrorIs(t, err, fsys.ErrBusy)
	require.NotErrorIs(t, err, fs.ErrExist)
	names, err := d.List("")
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"L1", osfs.GuardName}, names)
	require.NoError(t, d.Replace("L1", "L0")) // It has no need of the guard.
	require.NoError(t, fsys.Sweep(d))
	require.FileExists(t, guard, "a sweep took the guard of a living process")

	// It dies.
	require.NoError(t, unix.Flock(fd, unix.LOCK_UN))
	_, err = d.Create("L0", []byte("x"))
	require.ErrorIs(t, err, fs.ErrExist)
	require.NoFileExists(t, guard)

	require.NoError(t, os.WriteFile(guard, nil, 0o666))
	require.NoError(t, fsys.Sweep(d))
	require.NoFileExists(t, guard, "what a dead process left")
}

func TestGuardIsForLocalDirectories(t *testing.T) {
	d := openDir(t, t.TempDir())
	osfs.SetWay(d, osfs.ByGuard)
	osfs.SetLocal(d, false)
	_, err := d.Create("L0", []byte("x"))
	require.ErrorIs(t, err, errors.ErrUnsupported)
	require.ErrorContains(t, err, "neither hard links nor a rename that refuses to replace, and other machines may reach it")
	names, err := d.List("")
	require.NoError(t, err)
	require.Empty(t, names)
}

func TestNoLocks(t *testing.T) {
	d := openDir(t, t.TempDir())
	osfs.SetWitnesses(d, fsys.NoWitness)
	kind, err := fsys.Witnesses(d)
	yes := kind != fsys.NoWitness
	require.NoError(t, err)
	require.False(t, yes)
	f, err := d.Create("L0", []byte("x"))
	require.NoError(t, err)
	defer f.Close()
	s, err := d.Read("L0")
	require.NoError(t, err)
	require.Equal(t, fsys.Free, s.Witness, "the file was locked all the same")
}

// unlockable are directories that other machines may reach, and whose files
// cannot be locked.
type unlockable struct {
	fsys.FS
	way uint32
}

func (u unlockable) Dir(name string) (fsys.Dir, error) {
	d, err := u.FS.Dir(name)
	if err == nil {
		osfs.SetLocal(d, false)
		osfs.SetWitnesses(d, fsys.NoWitness)
		osfs.SetWay(d, u.way)
	}
	return d, err
}

func TestWithoutWitness(t *testing.T) {
	// Each file is sent to the disk before it gets its name: better none.
	parent := "/dev/shm"
	if _, err := os.Stat(parent); err != nil {
		parent = t.TempDir()
	}
	for name, way := range map[string]uint32{"unnamed": osfs.ByUnnamed, "link": osfs.ByLink, "rename": osfs.ByRename} {
		if runtime.GOOS != "linux" && way != osfs.ByLink {
			continue
		}
		t.Run(name, func(t *testing.T) {
			fsystest.Run(t, fsystest.Backend{New: func() (fsys.FS, string) {
				dir, err := os.MkdirTemp(parent, "dirlock-test-")
				require.NoError(t, err)
				t.Cleanup(func() { os.RemoveAll(dir) })
				return unlockable{osfs.New(), way}, dir
			}, Foreign: func(kind fsystest.Kind, dir, name string) error {
				if kind != fsystest.Overwritten {
					return errors.ErrUnsupported
				}
				return os.WriteFile(filepath.Join(dir, name), []byte("foreign"), 0)
			}})
		})
	}
}

// Without a witness no file is kept open; whether it is still ours, what is there
// tells.
func TestIntactWithoutWitness(t *testing.T) {
	path := filepath.Join(t.TempDir(), "L0")
	for name, replace := range map[string]func() error{
		"nothing":   func() error { return nil },
		"FIFO":      func() error { return unix.Mkfifo(path, 0o644) },
		"link":      func() error { return os.Symlink("nowhere", path) },
		"directory": func() error { return os.Mkdir(path, 0o755) },
		"other":     func() error { return os.WriteFile(path, []byte("other"), 0o644) },
		"longer":    func() error { return os.WriteFile(path, []byte("minemine"), 0o644) },
	} {
		t.Run(name, func(t *testing.T) {
			d, err := unlockable{osfs.New(), osfs.ByLink}.Dir(filepath.Dir(path))
			require.NoError(t, err)
			f, err := d.Create("L0", []byte("mine!"))
			require.NoError(t, err)
			ok, err := f.Intact("L0")
			require.NoError(t, err)
			require.True(t, ok)
			require.NoError(t, d.Remove("L0"))
			require.NoError(t, replace())
			ok, err = f.Intact("L0")
			require.NoError(t, err)
			require.False(t, ok)
			require.NoError(t, f.Close())
			require.ErrorIs(t, f.Close(), fs.ErrClosed)
			_, err = f.Intact("L0")
			require.ErrorIs(t, err, fs.ErrClosed)
			require.NoError(t, os.RemoveAll(path))
		})
	}
}

func TestUmask(t *testing.T) {
	dir := t.TempDir()
	defer syscall.Umask(syscall.Umask(0o077))
	for name, way := range ways {
		d := openDir(t, dir)
		osfs.SetWay(d, way)
		osfs.SetLocal(d, true)
		f, err := d.Create(name, []byte("x"))
		require.NoError(t, err)
		defer f.Close()
		info, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Equal(t, fs.FileMode(0o644), info.Mode(), name)
	}
}

// try does everything in a directory, and prints the errors.
func try(args []string) {
	d, err := osfs.New().Dir(args[0])
	if err != nil {
		panic(err)
	}
	_, create := d.Create("new", []byte("x"))
	_, read := d.Read("L0")
	_, witnesses := fsys.Witnesses(d)
	_, _, notify := fsys.Watch(d, "L0")
	for _, err := range []error{create, read, d.Replace("L0", "L1"), d.Remove("L0"), witnesses, notify} {
		fmt.Println(errors.Is(err, fs.ErrPermission), err)
	}
}

func TestNoPermission(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can be somebody else")
	}
	dir := t.TempDir()
	for parent := dir; parent != os.TempDir() && parent != "/"; parent = filepath.Dir(parent) {
		require.NoError(t, os.Chmod(parent, 0o755))
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "L0"), []byte("secret"), 0o600))
	cmd := command(t, "try", dir)
	// The test binary's own directory need not be open to others.
	binary := filepath.Join(t.TempDir(), "test")
	require.NoError(t, os.Chmod(filepath.Dir(binary), 0o755))
	data, err := os.ReadFile(cmd.Path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(binary, data, 0o755))
	cmd.Path = binary
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.Output()
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	require.Len(t, lines, 6)
	for i, op := range []string{
		"create " + dir + "/new", "read " + dir + "/L0", "replace " + dir + "/L1",
		"remove " + dir + "/L0", "create " + dir, "watch " + dir + "/L0",
	} {
		require.Equal(t, "true "+op+": permission denied", lines[i])
	}
	names, err := openDir(t, dir).List("")
	require.NoError(t, err)
	require.Equal(t, []string{"L0"}, names)
}

// A relative name stands for what it stood for when it was given. What links
// lead to is another matter.
func TestRelativeNames(t *testing.T) {
	base := t.TempDir()
	one, two := filepath.Join(base, "one"), filepath.Join(base, "two")
	require.NoError(t, os.MkdirAll(filepath.Join(one, "lock"), 0o755))
	require.NoError(t, os.MkdirAll(filepath.Join(two, "lock"), 0o755))
	require.NoError(t, os.Symlink(filepath.Join(one, "lock"), filepath.Join(base, "link")))

	t.Chdir(one)
	relative := openDir(t, "lock")
	linked := openDir(t, filepath.Join(base, "link"))
	t.Chdir(two)
	for _, d := range []fsys.Dir{relative, linked} {
		f, err := d.Create("L0", []byte("x"))
		require.NoError(t, err)
		require.FileExists(t, filepath.Join(one, "lock", "L0"))
		require.NoError(t, errors.Join(d.Remove("L0"), f.Close()))
	}
	require.NoError(t, os.Remove(filepath.Join(base, "link")))
	require.NoError(t, os.Symlink(filepath.Join(two, "lock"), filepath.Join(base, "link")))
	f, err := linked.Create("L0", []byte("x"))
	require.NoError(t, err)
	defer f.Close()
	require.FileExists(t, filepath.Join(two, "lock", "L0"))

	require.Equal(t, filepath.Join(two, "missing"), openDir(t, "missing").Path())
	require.Equal(t, "/", openDir(t, "/").Path())
	_, err = openDir(t, "/").Read("no such file")
	require.Equal(t, "read /no such file: no such file or directory", err.Error())
	_, err = osfs.New().Dir("")
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.Equal(t, osfs.New(), osfs.New())
}

func TestNames(t *testing.T) {
	d := openDir(t, t.TempDir())
	f, err := d.Create("L0", []byte("x"))
	require.NoError(t, err)
	for _, name := range []string{"", ".", "..", "a/b", "../L0", "a\x00b"} {
		_, err := d.Create(name, nil)
		require.ErrorIs(t, err, fs.ErrInvalid)
		_, err = d.Read(name)
		require.ErrorIs(t, err, fs.ErrInvalid)
		require.ErrorIs(t, d.Replace("L0", name), fs.ErrInvalid)
		require.ErrorIs(t, d.Replace(name, "L0"), fs.ErrInvalid)
		require.ErrorIs(t, d.Remove(name), fs.ErrInvalid)
		_, err = f.Intact(name)
		require.ErrorIs(t, err, fs.ErrInvalid)
		_, _, err = fsys.Watch(d, name)
		require.ErrorIs(t, err, fs.ErrInvalid)
	}
	_, err = d.Create("long", make([]byte, fsys.MaxData+1))
	require.ErrorIs(t, err, fs.ErrInvalid)
	require.NoError(t, f.Close())
	require.ErrorIs(t, f.Close(), fs.ErrClosed)
}

func TestDirectoryIsGoneOrReplaced(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "dir")
	require.NoError(t, os.Mkdir(dir, 0o755))
	d := openDir(t, dir)
	f, err := d.Create("L0", []byte("x"))
	require.NoError(t, err)
	defer f.Close()
	require.NoError(t, os.RemoveAll(dir))
	check := func(want error) {
		t.Helper()
		_, err := d.Create("L0", nil)
		require.ErrorIs(t, err, want)
		_, err = d.Read("L0")
		require.ErrorIs(t, err, want)
		require.ErrorIs(t, d.Remove("L0"), want)
		require.ErrorIs(t, d.Replace("L1", "L0"), want)
		_, err = d.List("")
		require.ErrorIs(t, err, want)
		ok, err := f.Intact("L0")
		require.NoError(t, err)
		require.False(t, ok)
	}
	check(fs.ErrNotExist)
	_, err = fsys.Witnesses(openDir(t, dir))
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = openDir(t, dir).(fsys.Localizer).Locate()
	require.ErrorIs(t, err, fs.ErrNotExist)

	require.NoError(t, os.WriteFile(dir, nil, 0o644))
	check(unix.ENOTDIR)
	require.NoError(t, os.Remove(dir))

	require.NoError(t, os.Mkdir(dir, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "L0"), []byte("x"), 0o644))
	ok, err := f.Intact("L0")
	require.NoError(t, err)
	require.False(t, ok, "the same content in another file")
}

// Nothing that is opened stays open, or is inherited by programs.
func TestDescriptors(t *testing.T) {
	d := openDir(t, t.TempDir())
	// open tells of each descriptor whether it is inherited.
	open := func() map[int]bool {
		fds := map[int]bool{}
		for fd := range 1000 {
			if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil {
				fds[fd] = flags&unix.FD_CLOEXEC == 0
			}
		}
		return fds
	}
	// One of these may be closed meanwhile: the watcher stays for a moment after
	// the last wait of another test.
	before := open()
	opened := func() map[int]bool {
		fds := open()
		for fd := range before {
			delete(fds, fd)
		}
		return fds
	}
	for range 100 {
		f, err := d.Create("L0", []byte("x"))
		require.NoError(t, err)
		for fd, inherited := range opened() {
			require.False(t, inherited, "descriptor %d", fd)
		}
		_, err = d.Create("L0", []byte("x"))
		require.Error(t, err)
		_, err = d.Read("L0")
		require.NoError(t, err)
		_, err = d.List("")
		require.NoError(t, err)
		require.NoError(t, d.Remove("L0"))
		require.NoError(t, f.Close())
		runtime.GC()
	}
	require.Empty(t, opened())
}
