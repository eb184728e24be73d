package lock_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/dirlock/dirlock/fsys"
	"github.com/dirlock/dirlock/fsys/osfs"
	"github.com/dirlock/dirlock/internal/testutil/reexec"
	"github.com/dirlock/dirlock/lock"
	"github.com/dirlock/dirlock/proc"
)

func init() {
	// An agent may have to end its first thread, or change its time namespace,
	// which is the first thread's to do. Tests run in other goroutines.
	runtime.LockOSThread()
	peerPlace, peerLeave = enterPlace, leave
	peerCommands["storm"] = func(s *peerState, _ string) string { return answerOf(storm(s.lock)) }
	reexec.Register("sleeper", func([]string) { _, _ = io.Copy(io.Discard, os.Stdin) })
}

// view is a process's sight of the world, as far as a test bends it.
type view struct {
	Blind   bool   // files carry no kernel witness
	Network bool   // the directory is on a network file system
	Boot    string // boot ID, if not the real one
	Host    string // host name, if not the real one
	Year    int    // what the clock says, if not the truth
}

// lock returns a handle on dir, with that view.
func (v view) lock(dir string, opts ...lock.Option) *lock.DirLock {
	opts = append(opts,
		lock.WithFS(viewFS{osfs.New(), v}),
		lock.WithProcesses(viewTable{proc.OS(), v}),
	)
	if v.Year != 0 {
		opts = append(opts, lock.WithClock(func() time.Time {
			return time.Date(v.Year, 2, 3, 4, 5, 6, 7, time.UTC)
		}))
	}
	return lock.New(dir, opts...)
}

type viewFS struct {
	fsys.FS
	view view
}

func (f viewFS) Dir(name string) (fsys.Dir, error) {
	d, err := f.FS.Dir(name)
	return viewDir{d, f.view}, err
}

type viewDir struct {
	fsys.Dir
	view view
}

func (d viewDir) Locate() (fsys.Location, error) {
	loc, err := fsys.Locate(d.Dir)
	loc.Local = loc.Local && !d.view.Network
	return loc, err
}

func (d viewDir) Witnesses() (fsys.Witness, error) {
	if d.view.Blind {
		return fsys.NoWitness, nil
	}
	return fsys.Witnesses(d.Dir)
}

func (d viewDir) Read(name string) (fsys.Snapshot, error) {
	s, err := d.Dir.Read(name)
	if d.view.Blind {
		s.Witness = fsys.NoWitness
	}
	return s, err
}

type viewTable struct {
	proc.Table
	view view
}

func (t viewTable) Self() (proc.Identity, error) {
	id, err := t.Table.Self()
	if t.view.Boot != "" {
		id.Boot = t.view.Boot
	}
	if t.view.Host != "" {
		id.Host = t.view.Host
	}
	return id, err
}

// place says where an agent runs, and what it sees.
type place struct {
	view
	Flags    uintptr           // clone(2) flags: the namespaces of its own
	Proc     string            // mounts a procfs with these options ("rw" for none)
	NoProc   bool              // hides procfs
	Binds    map[string]string // files to mount over others
	Hostname string            // host name to set
	Boottime int               // a time namespace whose boot clock is ahead by this, in seconds
	UID      int               // user to become
	Env      []string          // added to the environment
	Under    []string          // a command that runs the agent: its arguments follow
}

// container is a PID namespace with a procfs of its own, bare one that sees the
// procfs of its parent.
var (
	host      = place{}
	container = place{Flags: unix.CLONE_NEWPID | unix.CLONE_NEWNS, Proc: "rw"}
	bare      = place{Flags: unix.CLONE_NEWPID | unix.CLONE_NEWNS}
)

func (p place) blind() place { p.Blind = true; return p }

// agent is a peer that is in a place.
type agent struct {
	*peer
	pid   int
	start string
}

// start starts an agent, which inherits files, from descriptor 3 on. The test is
// skipped where this needs more privileges than it has.
func start(t testing.TB, dir string, p place, files ...*os.File) *agent {
	t.Helper()
	config, err := json.Marshal(p)
	require.NoError(t, err)
	a := &agent{peer: startPeer(t, dir, func(cmd *exec.Cmd) {
		cmd.Args = append(cmd.Args, string(config))
		if len(p.Under) > 0 {
			path, err := exec.LookPath(p.Under[0])
			if err != nil {
				t.Skip(err)
			}
			cmd.Path, cmd.Args = path, append(p.Under, append([]string{cmd.Path}, cmd.Args[1:]...)...)
		}
		cmd.Env = append(cmd.Env, p.Env...)
		cmd.ExtraFiles = files
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: p.Flags}
	})}
	hello := a.answer()
	if _, why, ok := strings.Cut(hello, "skip: "); ok {
		t.Skip(why)
	}
	_, err = fmt.Sscanf(hello, "%d %q", &a.pid, &a.start)
	require.NoError(t, err, hello)
	return a
}

// try tells whether the agent has got the lock.
func (a *agent) try() bool {
	a.t.Helper()
	r := a.do("try")
	require.Contains(a.t, []string{"true", "false"}, r)
	return r == "true"
}

// zombie kills the agent and waits until it is a zombie, but does not reap it.
func (a *agent) zombie() {
	a.t.Helper()
	require.NoError(a.t, a.cmd.Process.Kill())
	a.await()
}

func (a *agent) await() {
	a.t.Helper()
	for {
		err := unix.Waitid(unix.P_PID, a.cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if err != unix.EINTR {
			require.NoError(a.t, err)
			return
		}
	}
}

// enterPlace makes a peer an agent, and returns what it says of itself.
func enterPlace(s *peerState, config string) string {
	var p place
	err := json.Unmarshal([]byte(config), &p)
	if err == nil {
		err = p.enter()
	}
	id, err2 := proc.OS().Self()
	if err = errors.Join(err, err2); err != nil {
		return answerOf(err)
	}
	s.make = p.lock
	return fmt.Sprintf("%d %q", id.PID, id.Start)
}

// enter goes to the place, as far as clone(2) has not done it.
func (p place) enter() error {
	const done = "DIRLOCK_TEST_TIMENS"
	if p.Boottime != 0 && os.Getenv(done) == "" {
		if err := unix.Unshare(unix.CLONE_NEWTIME); err != nil {
			return fmt.Errorf("skip: no time namespace: %w", err)
		}
		offset := fmt.Sprintf("boottime %d 0\n", p.Boottime)
		if err := os.WriteFile("/proc/self/timens_offsets", []byte(offset), 0); err != nil {
			return err
		}
		exe, err := os.Executable()
		if err != nil {
			return err
		}
		// The namespace is entered by whoever is born: here the new program.
		return syscall.Exec(exe, os.Args, append(os.Environ(), done+"=1", reexec.Env("peer")))
	}
	if p.Flags&unix.CLONE_NEWNS != 0 {
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			return err
		}
	}
	for over, file := range p.Binds {
		if err := unix.Mount(file, over, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("bind %s: %w", over, err)
		}
	}
	if p.Proc != "" {
		if err := unix.Mount("proc", "/proc", "proc", 0, p.Proc); err != nil {
			return err
		}
	}
	if p.NoProc {
		if err := unix.Mount("tmpfs", "/proc", "tmpfs", 0, ""); err != nil {
			return err
		}
	}
	if p.Hostname != "" {
		if err := unix.Sethostname([]byte(p.Hostname)); err != nil {
			return err
		}
	}
	if p.UID != 0 {
		// The group, too: hidepid makes an exception for group 0.
		return errors.Join(syscall.Setgroups(nil), syscall.Setgid(p.UID), syscall.Setuid(p.UID))
	}
	return nil
}

// startSleeper starts a child that lives until everybody has closed the standard
// input that it inherits.
func startSleeper() error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), reexec.Env("sleeper"))
	cmd.Stdin = os.NewFile(sleeperInput, "sleeper's input")
	return cmd.Start()
}

// sleeperInput is the descriptor from which children of agents read.
const sleeperInput = 3

// storm acquires and releases the lock while other goroutines start children,
// and keeps it at last. All of the children outlive the storm.
func storm(l *lock.DirLock) error {
	const goroutines, children = 4, 8
	var wg sync.WaitGroup
	errs := make(chan error, goroutines)
	for range goroutines {
		wg.Go(func() {
			for range children {
				if err := startSleeper(); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	over := make(chan struct{})
	go func() { wg.Wait(); close(over) }()
	for {
		if ok, err := l.TryLock(); !ok {
			return fmt.Errorf("not acquired: %w", err)
		}
		select {
		case err := <-errs:
			return err
		case <-over:
			return nil
		default:
		}
		if err := l.Unlock(); err != nil {
			return err
		}
	}
}

// leave ends the first thread of this process, in which it runs, after the rest
// has begun in another one.
func leave(rest func(error)) {
	go func() { rest(awaitZombieLeader()) }()
	_, _, _ = syscall.Syscall(syscall.SYS_EXIT, 0, 0, 0)
}

// awaitZombieLeader waits until the first thread of this process has ended.
func awaitZombieLeader() error {
	for {
		b, err := os.ReadFile("/proc/self/stat")
		if err != nil || strings.Contains(string(b), ") Z ") {
			return err
		}
		runtime.Gosched()
	}
}

// inContainer runs the test again as the first process of a PID namespace with
// its own procfs, and returns true there. The caller returns if it is false.
func inContainer(t *testing.T) bool {
	t.Helper()
	const env = "DIRLOCK_TEST_CONTAINER"
	if os.Getenv(env) == t.Name() {
		require.NoError(t, os.Unsetenv(env))
		require.Equal(t, 1, os.Getpid())
		require.NoError(t, container.enter())
		return true
	}
	exe, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), exe, "-test.v", "-test.count=1", "-test.timeout=1m",
		"-test.run=^"+regexp.QuoteMeta(t.Name())+"$")
	cmd.Env = append(os.Environ(), env+"="+t.Name())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: container.Flags}
	out, err := cmd.CombinedOutput()
	switch {
	case errors.Is(err, syscall.EPERM):
		t.Skip("needs the privilege to make namespaces: ", err)
	case err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()+" "):
		t.Fatalf("in its container: %v\n%s", err, out)
	}
	t.Logf("in its container:\n%s", out)
	return false
}

// localDir returns a new directory on a local file system, which every user may
// change.
func localDir(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	d, err := osfs.New().Dir(dir)
	require.NoError(t, err)
	if loc, err := fsys.Locate(d); err != nil || !loc.Local {
		t.Skipf("%s is not known to be on a local file system; set TMPDIR", dir)
	}
	if os.Geteuid() == 0 {
		require.NoError(t, os.Chmod(filepath.Dir(dir), 0o755))
	}
	require.NoError(t, os.Chmod(dir, 0o777))
	return dir
}

func level(dir string, n int) string { return filepath.Join(dir, fmt.Sprintf("L%d", n)) }
