package proc

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/dirlock/dirlock/internal/testutil/reexec"
	"github.com/dirlock/dirlock/proc/internal/reason"
)

func init() {
	// mainZombieLeader and mainExec need the first thread.
	runtime.LockOSThread()
	reexec.Register("zombie-leader", mainZombieLeader)
	reexec.Register("exec", mainExec)
	reexec.Register("group", mainGroup)
	reexec.Register("reuse", mainReuse)
	reexec.Register("same-tick", mainSameTick)
	reexec.Register("no-signal", mainNoSignal)
	reexec.Register("probe", mainProbe)
}

// A verdict is what Probe returned.
type verdict struct {
	State  State
	Reason string
}

func probe(t Table, id Identity) verdict {
	state, reason := t.Probe(id)
	return verdict{state, reason}
}

// older returns what a record of an older version or kernel has of id.
func older(id Identity) Identity {
	id.Unique = ""
	return id
}

// unseen is the verdict of a living process whose start time cannot be read.
func unseen(id Identity) verdict {
	if id.Unique != "" {
		return alive
	}
	return hidden
}

var (
	alive  = verdict{Alive, reason.Runs}
	thread = verdict{Alive, reason.Thread}
	gone   = verdict{Dead, reason.None}
	zombie = verdict{Dead, reason.Zombie}
	reused = verdict{Dead, reason.Reused}
	hidden = verdict{Unknown, reason.Hidden}
	clock  = verdict{Unknown, reason.Clock}
	vague  = verdict{Unknown, reason.NoStart}
)

func TestSelf(t *testing.T) {
	id := self()
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	require.NoError(t, err)
	pidns, err := os.Stat("/proc/self/ns/pid")
	require.NoError(t, err)
	timens, err := os.Stat("/proc/self/ns/time")
	require.NoError(t, err)
	inode := func(info os.FileInfo) string {
		return strconv.FormatUint(info.Sys().(*syscall.Stat_t).Ino, 10)
	}
	ticks, clock, ok := strings.Cut(id.Start, "@")
	require.True(t, ok, id.Start)

	assert.Equal(t, os.Getpid(), id.PID)
	assert.Equal(t, strings.TrimSpace(string(boot)), id.Boot)
	assert.Equal(t, inode(pidns), id.Namespace)
	assert.Equal(t, inode(timens), clock)
	assert.Equal(t, filepath.Base(os.Args[0]), id.Command)

	// The start time is between the parent's and that of a child.
	c := start(t, reexec.Command(t, "self"))
	later, _, _ := strings.Cut(c.id.Start, "@")
	parent, err := newOSTable().statOf(os.Getppid())
	if err == nil {
		assert.LessOrEqual(t, number(t, parent.start), number(t, ticks))
	}
	assert.LessOrEqual(t, number(t, ticks), number(t, later))
	assert.Equal(t, id.Boot, c.id.Boot)
	assert.Equal(t, id.Namespace, c.id.Namespace)
}

// This process and another one tell the same of it.
func TestUnique(t *testing.T) {
	needUnique(t)
	ofPID := func(pid int) string {
		fd, err := unix.PidfdOpen(pid, 0)
		require.NoError(t, err)
		defer unix.Close(fd)
		return unique(fd)
	}
	c, d := start(t, reexec.Command(t, "self")), start(t, reexec.Command(t, "self"))
	assert.Equal(t, self().Unique, ofPID(os.Getpid()))
	assert.Equal(t, c.id.Unique, ofPID(c.id.PID))
	assert.Equal(t, d.id.Unique, ofPID(d.id.PID))
	assert.Less(t, number(t, c.id.Unique), number(t, d.id.Unique))
	c.kill(t)
	assert.Equal(t, c.id.Unique, ofPID(c.id.PID), "a zombie is the same process")

	// Of other files it is nothing, whatever their inode numbers.
	f, err := os.Open("/proc/self/exe")
	require.NoError(t, err)
	defer f.Close()
	assert.Empty(t, unique(int(f.Fd())))
	assert.Empty(t, unique(-1))
}

func needUnique(t *testing.T) {
	t.Helper()
	if self().Unique == "" {
		t.Skip("pidfds have no inode numbers of their own: needs Linux 6.9 and 64 bits")
	}
}

func number(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	require.NoError(t, err)
	return n
}

// statOf is stat for a table that was never asked for itself.
func (t *osTable) statOf(pid int) (stat, error) {
	_, _ = t.Self()
	return t.stat(pid)
}

// tableAt returns a table whose procfs is at root.
func tableAt(root string) *osTable {
	t := newOSTable()
	t.proc = root
	return t
}

// onThread runs f on a thread of its own that ends with it, so that f may
// change what belongs to a thread: credentials, mounts, seccomp filters.
func onThread(f func()) {
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		defer wg.Done()
		runtime.LockOSThread() // without Unlock: the thread ends with the goroutine
		f()
	}()
	wg.Wait()
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
}

// becomeNobody gives up the privileges of the calling thread.
func becomeNobody() error {
	if _, _, errno := syscall.RawSyscall(syscall.SYS_SETRESGID, 65534, 65534, 65534); errno != 0 {
		return errno
	}
	if _, _, errno := syscall.RawSyscall(syscall.SYS_SETRESUID, 65534, 65534, 65534); errno != 0 {
		return errno
	}
	return nil
}

// privateProc gives the calling thread a mount namespace of its own, in which
// /proc is mounted with these options.
func privateProc(options string) error {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return err
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	return unix.Mount("proc", "/proc", "proc", 0, options)
}

// The value of an action of a seccomp filter, see seccomp(2).
func seccompErrno(errno syscall.Errno) uint32 { return unix.SECCOMP_RET_ERRNO | uint32(errno) }

// deny has the kernel answer some system calls of the calling thread, and of
// the threads and processes that it starts, with an action.
func deny(action uint32, calls ...uintptr) error {
	filter := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}} // the call's number
	for _, call := range calls {
		filter = append(filter,
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: uint32(call), Jf: 1},
			unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: action})
	}
	filter = append(filter, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW})
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	return unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&program)), 0, 0)
}

// kill ends a child and returns when it is a zombie.
func (c *child) kill(t *testing.T) {
	t.Helper()
	require.NoError(t, c.Process.Kill())
	require.NoError(t, awaitZombie(c.id.PID))
}

func awaitZombie(pid int) error {
	_, err := retry(func() (int, error) {
		return 0, unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
	})
	return err
}

// reap frees the PID of a zombie.
func (c *child) reap() { c.Wait() }

func TestProbe(t *testing.T) {
	c := start(t, reexec.Command(t, "self"))
	assert.Equal(t, alive, probe(OS(), c.id))
	assert.Equal(t, alive, probe(OS(), self()))

	ticks, ns, _ := strings.Cut(c.id.Start, "@")
	withStart := func(start string) Identity {
		id := older(c.id)
		id.Start = start
		return id
	}
	assert.Equal(t, alive, probe(OS(), older(c.id)))
	assert.Equal(t, reused, probe(OS(), withStart("1"+c.id.Start)))
	assert.Equal(t, reused, probe(OS(), withStart("1@"+ns)))
	assert.Equal(t, clock, probe(OS(), withStart(ticks+"@1")), "another time namespace")
	assert.Equal(t, clock, probe(OS(), withStart("1@1")), "another time namespace")
	assert.Equal(t, clock, probe(OS(), withStart(ticks+"@")), "from before time namespaces")
	assert.Equal(t, clock, probe(OS(), withStart(ticks)), "not of this package")
	assert.Equal(t, vague, probe(OS(), withStart("")))

	c.kill(t)
	assert.Equal(t, zombie, probe(OS(), c.id))
	assert.Equal(t, zombie, probe(OS(), withStart("")), "whoever had the PID is dead")
	assert.Equal(t, reused, probe(OS(), withStart("1@"+ns)))
	c.reap()
	assert.Equal(t, gone, probe(OS(), c.id))
	assert.Equal(t, gone, probe(OS(), withStart("")))
}

// Where there is one, Unique alone says which process it is.
func TestProbeUnique(t *testing.T) {
	needUnique(t)
	c := start(t, reexec.Command(t, "self"))
	noProc := tableAt(t.TempDir())
	other := c.id
	other.Unique += "0"
	ticks, _, _ := strings.Cut(c.id.Start, "@")
	for _, table := range []Table{OS(), noProc} {
		assert.Equal(t, reused, probe(table, other), "of the same start")
		for _, start := range []string{"", "1" + c.id.Start, ticks + "@1"} {
			id := c.id
			id.Start = start
			assert.Equal(t, alive, probe(table, id), "start %q", start)
		}
	}
	withoutPidfd(t, func() {
		assert.Equal(t, alive, probe(OS(), c.id))
		assert.Equal(t, alive, probe(OS(), other), "the start time is the same")
		assert.Equal(t, hidden, probe(noProc, other))
	})
	for _, call := range []uintptr{unix.SYS_FSTATFS, unix.SYS_FSTAT} {
		onThread(func() {
			if err := deny(seccompErrno(unix.EPERM), call); err != nil {
				t.Errorf("seccomp: %v", err)
				return
			}
			assert.Equal(t, alive, probe(OS(), other), "the start time is the same")
			assert.Equal(t, hidden, probe(noProc, other))
		})
	}
	c.kill(t)
	assert.Equal(t, zombie, probe(noProc, c.id))
	assert.Equal(t, reused, probe(noProc, other))
	c.reap()
	assert.Equal(t, gone, probe(noProc, c.id))
	assert.Equal(t, gone, probe(noProc, other))
}

func TestProbeImpossible(t *testing.T) {
	for _, pid := range []int64{0, -1, -int64(os.Getpid()), -1 << 31, -1 << 63, 1 << 31, 1 << 32, 1<<32 + 1, 1<<63 - 1} {
		if int64(int(pid)) != pid {
			continue // a 32-bit system
		}
		assert.Equal(t, verdict{Dead, reason.Impossible}, probe(OS(), Identity{PID: int(pid)}), "%d", pid)
	}
	// These are possible as far as we know, but no Linux has them.
	for _, pid := range []int{1 << 22, 1 << 30, 1<<31 - 1} {
		assert.Equal(t, gone, probe(OS(), Identity{PID: pid}), "%d", pid)
	}
}

// mainNoSignal probes where kill(2) is denied: the kernel would kill this
// process on the spot. (Only a table without a pidfd has to call it.)
func mainNoSignal(args []string) {
	var err error
	onThread(func() {
		if err = deny(unix.SECCOMP_RET_KILL_PROCESS, unix.SYS_KILL, unix.SYS_TKILL,
			unix.SYS_RT_SIGQUEUEINFO, unix.SYS_PIDFD_SEND_SIGNAL); err != nil {
			return
		}
		for _, root := range []string{"/proc", "/nonexistent"} {
			for _, pid := range []int{0, -1, -os.Getppid(), -1 << 31, 1, os.Getpid(), os.Getppid(), 1<<31 - 1} {
				tableAt(root).Probe(Identity{PID: pid})
				tableAt(root).Probe(Identity{PID: pid, Unique: "1"})
			}
		}
		if len(args) > 0 {
			_ = unix.Kill(os.Getpid(), 0)
		}
	})
	if err != nil {
		panic(err)
	}
}

func TestProbeSendsNoSignal(t *testing.T) {
	require.NoError(t, reexec.Command(t, "no-signal").Run())
	// It would be seen.
	err := reexec.Command(t, "no-signal", "kill").Run()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	require.Equal(t, syscall.SIGSYS, exit.Sys().(syscall.WaitStatus).Signal())
}

// mainZombieLeader ends its first thread, and lives on until its standard
// input ends.
func mainZombieLeader([]string) {
	if unix.Gettid() != unix.Getpid() {
		panic("not on the first thread")
	}
	say(self())
	go func() {
		// It runs on another thread, because this goroutine is locked to
		// the first.
		if err := awaitLeaderZombie(); err != nil {
			panic(err)
		}
		say("ready")
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	_, _, _ = syscall.Syscall(syscall.SYS_EXIT, 0, 0, 0)
}

// awaitLeaderZombie returns when the first thread of this process has ended.
func awaitLeaderZombie() error {
	for {
		s, err := newOSTable().statOf(os.Getpid())
		if err != nil || s.zombie() {
			return err
		}
		runtime.Gosched()
	}
}

func TestZombieLeader(t *testing.T) {
	c := start(t, reexec.Command(t, "zombie-leader"))
	c.hear(t, new(string))
	assert.Equal(t, thread, probe(OS(), c.id), "a thread of it runs")
	withoutPidfd(t, func() {
		assert.Equal(t, thread, probe(OS(), c.id), "a thread of it runs")
	})
	assert.Equal(t, thread, probe(OS(), older(c.id)), "a thread of it runs")
	assert.Equal(t, unseen(c.id), probe(tableAt(t.TempDir()), c.id), "a thread of it runs, without procfs")
	assert.Equal(t, hidden, probe(tableAt(t.TempDir()), older(c.id)), "a thread of it runs, without procfs")

	ended, stop, err := Notify(OS(), c.id)
	require.NoError(t, err)
	defer stop()
	assert.Empty(t, ended)
	require.NoError(t, c.in.Close())
	<-ended
	assert.Equal(t, zombie, probe(OS(), c.id))
	assert.Equal(t, zombie, probe(OS(), older(c.id)))
	withoutPidfd(t, func() {
		assert.Equal(t, zombie, probe(OS(), c.id))
	})
	c.reap()
	assert.Equal(t, gone, probe(OS(), c.id))
}

// withoutPidfd runs f where pidfd_open(2) is denied, as old kernels and
// sandboxes do.
func withoutPidfd(t *testing.T, f func()) {
	t.Helper()
	for _, errno := range []syscall.Errno{unix.ENOSYS, unix.EPERM, unix.EINVAL, unix.EMFILE} {
		onThread(func() {
			if err := deny(seccompErrno(errno), unix.SYS_PIDFD_OPEN); err != nil {
				t.Errorf("seccomp: %v", err)
				return
			}
			f()
		})
	}
}

func TestWithoutPidfd(t *testing.T) {
	c := start(t, reexec.Command(t, "self"))
	noProc := tableAt(t.TempDir())
	withoutPidfd(t, func() {
		assert.Equal(t, alive, probe(OS(), c.id))
		assert.Equal(t, hidden, probe(noProc, c.id))
		assert.Equal(t, gone, probe(noProc, Identity{PID: 1<<31 - 1}))
		_, _, err := Notify(OS(), c.id)
		assert.Error(t, err)
		// Neither says that it has ended: EPERM means that it exists.
		if os.Getuid() == 0 && assert.NoError(t, becomeNobody()) {
			assert.Equal(t, syscall.EPERM, unix.Kill(c.id.PID, 0))
			assert.Equal(t, alive, probe(OS(), c.id))
			assert.Equal(t, hidden, probe(noProc, c.id))
		}
	})
	onThread(func() {
		if err := deny(seccompErrno(unix.ENOSYS), unix.SYS_PIDFD_OPEN); err == nil {
			_, _, err = Notify(OS(), c.id)
			assert.ErrorIs(t, err, errors.ErrUnsupported)
			assert.ErrorIs(t, err, unix.ENOSYS)
		}
	})
	c.kill(t)
	withoutPidfd(t, func() {
		assert.Equal(t, zombie, probe(OS(), c.id))
		assert.Equal(t, hidden, probe(noProc, c.id), "a zombie, for all it knows")
	})
	c.reap()
	withoutPidfd(t, func() {
		assert.Equal(t, gone, probe(OS(), c.id))
	})
}

// Without an event for it there is an error, and no thread that waits.
func TestNotifyWithoutPoller(t *testing.T) {
	c := start(t, reexec.Command(t, "self"))
	before := descriptors(t)
	for _, call := range []uintptr{unix.SYS_EPOLL_CTL, unix.SYS_FCNTL} {
		onThread(func() {
			if err := deny(seccompErrno(unix.ENOSPC), call); err != nil {
				t.Errorf("seccomp: %v", err)
				return
			}
			_, _, err := Notify(OS(), c.id)
			assert.Error(t, err)
		})
	}
	assert.Equal(t, before, descriptors(t))
}

func TestOtherUser(t *testing.T) {
	needRoot(t)
	c := start(t, reexec.Command(t, "self"))
	noProc := tableAt(t.TempDir())
	onThread(func() {
		require.NoError(t, becomeNobody())
		assert.Equal(t, alive, probe(OS(), c.id))
		assert.Equal(t, alive, probe(OS(), older(c.id)))
		assert.Equal(t, unseen(c.id), probe(noProc, c.id))
		assert.Equal(t, hidden, probe(noProc, older(c.id)))
	})
	c.kill(t)
	onThread(func() {
		require.NoError(t, becomeNobody())
		for _, id := range []Identity{c.id, older(c.id)} {
			assert.Equal(t, zombie, probe(OS(), id))
			assert.Equal(t, zombie, probe(noProc, id))
		}
	})
}

func TestHidepid(t *testing.T) {
	needRoot(t)
	c := start(t, reexec.Command(t, "self"))
	asNobody := func(f func(table Table)) {
		for _, options := range []string{"hidepid=1", "hidepid=2", "hidepid=4"} {
			onThread(func() {
				if err := privateProc(options); err != nil {
					t.Errorf("mount: %v", err)
					return
				}
				if err := becomeNobody(); err != nil {
					t.Errorf("setresuid: %v", err)
					return
				}
				_, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.id.PID))
				assert.Error(t, err, "hidepid hides")
				f(newOSTable())
			})
		}
	}
	asNobody(func(table Table) {
		assert.Equal(t, unseen(c.id), probe(table, c.id))
		assert.Equal(t, hidden, probe(table, older(c.id)))
		self, err := table.Self()
		assert.NoError(t, err)
		assert.NotEmpty(t, self.Start, "one sees oneself")
		assert.NotEmpty(t, self.Namespace, "one sees oneself")
		assert.Equal(t, alive, probe(table, self))

		ended, stop, err := Notify(table, c.id)
		if assert.NoError(t, err) {
			assert.Empty(t, ended)
			stop()
		}
	})
	c.kill(t)
	asNobody(func(table Table) {
		assert.Equal(t, zombie, probe(table, c.id))
		assert.Equal(t, zombie, probe(table, older(c.id)))
	})
	c.reap()
	asNobody(func(table Table) {
		assert.Equal(t, gone, probe(table, c.id))
		assert.Equal(t, gone, probe(table, older(c.id)))
	})
}

// A thread ID is no process ID, although kill(2) and /proc take it for one.
func TestThreadID(t *testing.T) {
	tid := make(chan int)
	end := make(chan struct{})
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		defer wg.Done()
		runtime.LockOSThread()
		tid <- unix.Gettid()
		<-end
	}()
	id := Identity{PID: <-tid, Start: "1@" + newOSTable().timeNamespace()}
	defer wg.Wait()
	defer close(end)
	require.NotEqual(t, os.Getpid(), id.PID)
	require.NoError(t, unix.Kill(id.PID, 0))

	assert.Equal(t, reused, probe(OS(), id))
	assert.Equal(t, gone, probe(tableAt(t.TempDir()), id))
	id.Unique = "1"
	assert.Equal(t, gone, probe(OS(), id))
	ended, stop, err := Notify(OS(), id)
	require.NoError(t, err)
	<-ended
	stop()
}

func (t *osTable) timeNamespace() string { return t.namespace("time") }

// mainGroup leaves a child in its process group and session, and ends.
func mainGroup([]string) {
	if _, err := unix.Setsid(); err != nil {
		panic(err)
	}
	cmd := exec.Command("cat")
	cmd.Stdin, cmd.Stdout = os.Stdin, os.Stdout
	if err := cmd.Start(); err != nil {
		panic(err)
	}
	say(self())
}

// The number of a process that is dead may still be in use as that of its
// process group and session.
func TestProcessGroup(t *testing.T) {
	c := start(t, reexec.Command(t, "group"))
	require.NoError(t, awaitZombie(c.id.PID))
	assert.Equal(t, zombie, probe(OS(), c.id))
	_, err := c.Process.Wait()
	require.NoError(t, err)
	require.NoError(t, unix.Kill(-c.id.PID, 0), "the group lives")
	assert.Equal(t, gone, probe(OS(), c.id))
	assert.Equal(t, gone, probe(tableAt(t.TempDir()), c.id))
	_ = c.in.Close()
}

// mainExec runs itself again and again from another thread than the first: the
// kernel gives that thread the identity of the process.
func mainExec(args []string) {
	n, err := strconv.Atoi(args[0])
	if err != nil {
		panic(err)
	}
	if args[1] == "first" {
		say(self())
		if _, err := os.Stdin.Read(make([]byte, 1)); err != nil {
			panic(err)
		}
	}
	if n == 0 {
		say(self())
		_, _ = io.Copy(io.Discard, os.Stdin)
		return
	}
	env := append(os.Environ(), reexec.Env("exec"))
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			panic("on the first thread")
		}
		done <- syscall.Exec("/proc/self/exe", []string{os.Args[0], strconv.Itoa(n - 1), "again"}, env)
	}()
	panic(<-done)
}

// A process that runs another program from any of its threads stays the same
// one, and looks dead at no moment, with and without pidfd and procfs.
func TestExecStaysAlive(t *testing.T) {
	times := "400"
	if testing.Short() {
		times = "50"
	}
	c := start(t, reexec.Command(t, "exec", times, "first"))
	_, err := c.in.Write([]byte("\n"))
	require.NoError(t, err)
	said := make(chan struct{})
	var last Identity
	go func() {
		defer close(said)
		line, _ := c.out.ReadBytes('\n')
		_ = json.Unmarshal(line, &last)
	}()
	noProc := tableAt(t.TempDir())
	old := older(c.id)
	var wg sync.WaitGroup
	wg.Go(func() {
		onThread(func() {
			if err := deny(seccompErrno(unix.ENOSYS), unix.SYS_PIDFD_OPEN); err != nil {
				t.Errorf("seccomp: %v", err)
				return
			}
			until(said, func() bool {
				v := probe(OS(), old)
				return assert.Equal(t, Alive, v.State, v.Reason) &&
					assert.Equal(t, hidden, probe(noProc, old))
			})
		})
	})
	until(said, func() bool {
		v, w := probe(OS(), c.id), probe(OS(), old)
		return assert.Equal(t, Alive, v.State, v.Reason) &&
			assert.Equal(t, Alive, w.State, w.Reason) &&
			assert.Equal(t, unseen(c.id), probe(noProc, c.id)) &&
			assert.Equal(t, hidden, probe(noProc, old))
	})
	wg.Wait()
	assert.Equal(t, c.id, last)
}

// until calls f until it returns false or the channel is closed.
func until(closed <-chan struct{}, f func() bool) {
	for f() {
		select {
		case <-closed:
			return
		default:
		}
	}
}

// mainReuse is the first process of a PID namespace. It has one PID used twice.
func mainReuse([]string) {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		panic(err)
	}
	var verdicts []verdict
	// The /proc of the namespace above: other PIDs, and no start times.
	above := newOSTable()
	id, _ := above.Self()
	if id.Start != "" || id.Namespace == "" || id.Boot == "" {
		panic(fmt.Sprintf("with another /proc: %+v", id))
	}
	verdicts = append(verdicts, probe(above, Identity{PID: 1, Start: "1@" + above.clock}))
	if above.namespace("pid") == "" || probe(above, id) != unseen(id) {
		panic(fmt.Sprintf("with another /proc: %v", probe(above, id)))
	}

	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		panic(err)
	}
	say(self())
	// A thread of the runtime can take the number instead: then try another.
	for pid := 100; ; pid += 100 {
		got, ok := reuse(pid, above)
		if ok {
			say(append(verdicts, got...))
			return
		}
	}
}

// reuse starts a process, ends it, and starts another that has its PID. It
// returns what a table says of the first one, and another one at the end.
func reuse(pid int, above *osTable) (verdicts []verdict, ok bool) {
	first := startAt(pid)
	defer end(first)
	if first.Process.Pid != pid {
		return nil, false
	}
	s, err := newOSTable().statOf(pid)
	if err != nil {
		panic(err)
	}
	owner := Identity{PID: pid, Start: s.start + "@" + newOSTable().timeNamespace()}
	verdicts = append(verdicts, probe(OS(), owner))
	end(first)
	verdicts = append(verdicts, probe(OS(), owner))

	// Start times have a resolution of 10 ms: wait for the next.
	for ticks := bootTicks(); ticks == bootTicks(); {
		runtime.Gosched()
	}
	second := startAt(pid)
	defer end(second)
	if second.Process.Pid != pid {
		return nil, false
	}
	verdicts = append(verdicts, probe(OS(), owner), probe(above, owner))
	ended, stop, err := Notify(OS(), owner)
	if err != nil {
		panic(err)
	}
	<-ended
	stop()
	return verdicts, true
}

// startAt starts a process, if possible with this PID.
func startAt(pid int) *exec.Cmd {
	if err := os.WriteFile("/proc/sys/kernel/ns_last_pid", []byte(strconv.Itoa(pid-1)), 0); err != nil {
		panic(err)
	}
	cmd := exec.Command("cat")
	if _, err := cmd.StdinPipe(); err != nil {
		panic(err)
	}
	if err := cmd.Start(); err != nil {
		panic(err)
	}
	return cmd
}

func end(cmd *exec.Cmd) {
	cmd.Process.Kill()
	cmd.Wait()
}

func bootTicks() int64 {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
		panic(err)
	}
	return now.Nano() / 10e6
}

// startFirst starts a process that is the first one of a PID namespace.
func startFirst(t *testing.T, name string) *child {
	t.Helper()
	needRoot(t)
	if _, err := os.Stat("/proc/sys/kernel/ns_last_pid"); err != nil {
		t.Skip("no way to choose a PID: ", err)
	}
	cmd := reexec.Command(t, name)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS}
	return start(t, cmd)
}

const sameTicks = 50

// mainSameTick is the first process of a PID namespace. It has sameTicks PIDs used
// twice within one tick of the clock that start times count.
func mainSameTick([]string) {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		panic(err)
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		panic(err)
	}
	say(self())
	var got []again
	for i := 0; len(got) < sameTicks; i++ {
		if a, ok := reuseInTick(1000 + i*10%20_000); ok {
			got = append(got, a)
		}
	}
	say(got)
}

// again is what the table says of a process when its PID and start time are
// those of another one, by all that its record has and by what an older one has.
type again struct{ Full, Older verdict }

// reuseInTick reports false if the PID was not free, or the tick was over.
func reuseInTick(pid int) (a again, ok bool) {
	first := startAt(pid)
	owner := identityOf(first.Process.Pid)
	end(first)
	second := startAt(pid)
	defer end(second)
	now := identityOf(second.Process.Pid)
	a = again{probe(OS(), owner), probe(OS(), older(owner))}
	return a, now.PID == owner.PID && now.Start == owner.Start
}

// identityOf is what Self returns in another process.
func identityOf(pid int) Identity {
	t := newOSTable()
	s, err := t.statOf(pid)
	if err != nil {
		panic(err)
	}
	fd, err := pidfdOpen(pid)
	if err != nil {
		panic(err)
	}
	defer unix.Close(fd)
	return Identity{PID: pid, Start: s.start + "@" + t.clock, Unique: unique(fd)}
}

// Start times count ticks of 10 ms. A PID that is used again within one is told
// by Unique.
func TestReuseWithinTick(t *testing.T) {
	needUnique(t)
	var got []again
	startFirst(t, "same-tick").hear(t, &got)
	assert.Len(t, got, sameTicks)
	for _, a := range got {
		assert.Equal(t, reused, a.Full)
		assert.Equal(t, alive, a.Older, "the start time does not tell")
	}
}

func TestReuse(t *testing.T) {
	c := startFirst(t, "reuse")
	assert.Equal(t, 1, c.id.PID)
	assert.Equal(t, self().Boot, c.id.Boot)
	assert.NotEqual(t, self().Namespace, c.id.Namespace)
	var got []verdict
	c.hear(t, &got)
	assert.Equal(t, []verdict{hidden, alive, gone, reused, hidden}, got)
}

// mainProbe asks for the processes that it reads, in JSON.
func mainProbe([]string) {
	say(self())
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		var id Identity
		if err := json.Unmarshal(in.Bytes(), &id); err != nil {
			panic(err)
		}
		say(probe(OS(), id))
	}
}

// ask has a process that runs mainProbe ask for another.
func (c *child) ask(t *testing.T, id Identity) (v verdict) {
	t.Helper()
	require.NoError(t, json.NewEncoder(c.in).Encode(id))
	c.hear(t, &v)
	return v
}

// In another time namespace, every start time looks like another one.
func TestTimeNamespace(t *testing.T) {
	needRoot(t)
	unshare, err := exec.LookPath("unshare")
	if err != nil {
		t.Skip(err)
	}
	if _, err := os.Stat("/proc/self/ns/time"); err != nil {
		t.Skip("no time namespaces: ", err)
	}
	c, d := startLater(t, unshare), startLater(t, unshare)
	outside := start(t, reexec.Command(t, "probe"))
	require.NotEqual(t, self().Start[strings.Index(self().Start, "@"):], c.id.Start[strings.Index(c.id.Start, "@"):])
	assert.Equal(t, clock, probe(OS(), older(c.id)))
	assert.Equal(t, clock, c.ask(t, older(self())))
	assert.Equal(t, clock, c.ask(t, older(d.id)))
	assert.Equal(t, alive, c.ask(t, older(c.id)))
	assert.Equal(t, alive, outside.ask(t, older(self())))
	if self().Unique != "" { // no clock has anything to do with it
		assert.Equal(t, alive, probe(OS(), c.id))
		assert.Equal(t, alive, c.ask(t, self()))
		assert.Equal(t, alive, c.ask(t, d.id))
	}
	require.NoError(t, unix.Kill(c.id.PID, unix.SIGKILL))
	require.NoError(t, awaitZombie(c.id.PID))
	for _, id := range []Identity{c.id, older(c.id)} {
		assert.Equal(t, zombie, probe(OS(), id))
		assert.Equal(t, zombie, d.ask(t, id))
	}
	reapAdopted(t, c.id.PID)
	defer reapAdopted(t, d.id.PID)
	defer func() { _ = d.in.Close() }()
	for _, id := range []Identity{c.id, older(c.id)} {
		assert.Equal(t, gone, probe(OS(), id))
		assert.Equal(t, gone, d.ask(t, id))
	}
}

// startLater starts a process that runs mainProbe in a time namespace of its own.
//
// unshare(2) of a time namespace moves the children. (Linux 6.3 moves the process
// itself when it executes a program, and older ones do not.) So unshare(1) forks,
// and this process adopts its child: then it can wait for its end.
func startLater(t *testing.T, unshare string) *child {
	t.Helper()
	require.NoError(t, unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
	defer func() { _ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0) }()
	cmd := reexec.Command(t, "probe")
	cmd.Args = append([]string{unshare, "--time", "--boottime", "86400", "--fork", cmd.Path}, cmd.Args[1:]...)
	cmd.Path = unshare
	c := start(t, cmd)
	require.NotEqual(t, cmd.Process.Pid, c.id.PID)
	require.NoError(t, cmd.Process.Kill())
	_, err := cmd.Process.Wait()
	require.NoError(t, err)
	return c
}

// reapAdopted frees the PID of a zombie that was not started by os/exec.
func reapAdopted(t *testing.T, pid int) {
	t.Helper()
	_, err := retry(func() (int, error) { return unix.Wait4(pid, nil, 0, nil) })
	require.NoError(t, err)
}

// fixture writes a procfs in which this process is as the files say. It knows
// no other process.
func fixture(t *testing.T, files map[string]string) *osTable {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		name = filepath.Join(root, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o777))
		if target, ok := strings.CutPrefix(content, "-> "); ok {
			require.NoError(t, os.Symlink(target, name))
		} else {
			require.NoError(t, os.WriteFile(name, []byte(content), 0o666))
		}
	}
	return tableAt(root)
}

func TestForeignProc(t *testing.T) {
	pid := strconv.Itoa(os.Getpid())
	first := pid + "/task/" + pid + "/stat"
	files := func(change ...string) map[string]string {
		m := map[string]string{
			"sys/kernel/random/boot_id": "b\n",
			"self":                      "-> " + pid,
			pid + "/status":             "Name:\tx\nNSpid:\t" + pid + "\nNSpgid:\t1\t2\n",
			pid + "/stat":               pid + " (x) S" + between + "345 6",
			first:                       pid + " (x) R" + between + "345 6",
			pid + "/ns/pid":             "-> pid:[1]",
			pid + "/ns/time":            "-> time:[2]",
		}
		for i := 0; i < len(change); i += 2 {
			if change[i+1] == "" {
				delete(m, change[i])
			} else {
				m[change[i]] = change[i+1]
			}
		}
		return m
	}
	for _, test := range []struct {
		name                   string
		change                 []string
		start, boot, namespace string
	}{
		{"own", nil, "345@2", "b", "1"},
		{"Linux before 5.6", []string{pid + "/ns/time", ""}, "345@", "b", "1"},
		{"Linux before 4.1", []string{pid + "/status", "Name:\tx\n"}, "345@2", "b", "1"},
		{"of an ancestor, by chance with our number", []string{pid + "/status", "\nNSpid:\t" + pid + "\t" + pid + "\n"}, "", "b", "1"},
		{"of an ancestor, Linux before 4.1", []string{"self", "-> 0", "0/status", "Name:\tx\n", "0/ns/pid", "-> pid:[1]"}, "", "b", "1"},
		{"of another", []string{"self", ""}, "", "b", ""},
		{"without status", []string{pid + "/status", ""}, "", "b", "1"},
		{"without stat", []string{pid + "/stat", ""}, "", "b", "1"},
		{"stat cut short", []string{pid + "/stat", pid + " (x) S" + between + "34"}, "", "b", "1"},
		{"without tasks", []string{first, ""}, "", "b", "1"},
		{"of an emulator: no state", []string{pid + "/stat", pid + " (x) 0" + between + "345 6"}, "", "b", "1"},
		{"of an emulator: no start", []string{pid + "/stat", pid + " (x) R" + between + "0 6"}, "", "b", "1"},
		{"of an emulator: another start", []string{pid + "/stat", pid + " (x) R" + between + "346 6"}, "", "b", "1"},
		{"without sys", []string{"sys/kernel/random/boot_id", ""}, "345@2", "", "1"},
		{"boot of two words", []string{"sys/kernel/random/boot_id", "a b"}, "345@2", "", "1"},
		{"odd namespace", []string{pid + "/ns/pid", "-> pid:[x]"}, "345@2", "b", ""},
		{"odd link", []string{pid + "/ns/pid", "-> 1"}, "345@2", "b", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			table := fixture(t, files(test.change...))
			id, err := table.Self()
			require.NoError(t, err)
			assert.Equal(t, test.start, id.Start)
			assert.Equal(t, test.boot, id.Boot)
			assert.Equal(t, test.namespace, id.Namespace)
			assert.Equal(t, os.Getpid(), id.PID)
			assert.Equal(t, self().Unique, id.Unique, "it needs no procfs")
			switch {
			case test.start != "":
				assert.Equal(t, alive, probe(table, older(id)))
			case strings.HasSuffix(test.name, " start"), test.name == "without tasks":
				assert.Equal(t, vague, probe(table, older(id)))
			default:
				id.Start = "345@2"
				assert.Equal(t, hidden, probe(table, older(id)))
			}
		})
	}
}

// A process can end between any two steps of a probe.
func TestVanishes(t *testing.T) {
	pid := strconv.Itoa(os.Getpid())
	none := 1<<31 - 1
	// Not this process, nor its parent: either may be process 1, and a parent
	// in another PID namespace is process 0.
	c, d := start(t, reexec.Command(t, "self")), start(t, reexec.Command(t, "self"))
	table := fixture(t, map[string]string{
		"self":                               "-> " + pid,
		pid + "/status":                      "",
		pid + "/ns/time":                     "-> time:[2]",
		strconv.Itoa(none) + "/stat":         "7 (x) Z" + between + "345 6",
		strconv.Itoa(c.id.PID):               "a file",
		strconv.Itoa(d.id.PID) + "/stat/dir": "stat is a directory: it opens, but does not read",
	})
	assert.Equal(t, gone, probe(table, Identity{PID: none, Start: "345@2"}), "reaped after stat was read")
	assert.Equal(t, hidden, probe(table, Identity{PID: c.id.PID, Start: "345@2"}))
	assert.Equal(t, hidden, probe(table, Identity{PID: d.id.PID, Start: "345@2"}))
}

func TestNotify(t *testing.T) {
	c := start(t, reexec.Command(t, "self"))
	ended, stop, err := Notify(OS(), c.id)
	require.NoError(t, err)
	assert.Equal(t, 1, cap(ended))
	assert.Empty(t, ended)
	c.kill(t)
	<-ended
	stop()

	ended, stop, err = Notify(OS(), c.id)
	require.NoError(t, err, "a zombie")
	<-ended
	stop()
	c.reap()
	ended, stop, err = Notify(OS(), c.id)
	require.NoError(t, err, "nobody")
	<-ended
	stop()
	ended, stop, err = Notify(OS(), Identity{PID: -1})
	require.NoError(t, err, "impossible")
	<-ended
	stop()
}

// Another process that has the PID is not waited for.
func TestNotifyReused(t *testing.T) {
	before := descriptors(t)
	byStart, byUnique := older(self()), self()
	byStart.Start = "1" + byStart.Start
	byUnique.Unique += "0"
	for _, id := range []Identity{byStart, byUnique} {
		if id.Unique == "0" {
			continue // the kernel has none
		}
		ended, stop, err := Notify(OS(), id)
		require.NoError(t, err)
		<-ended
		stop()
	}
	assert.Equal(t, before, descriptors(t))
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	return len(entries)
}

func threads(t *testing.T) int {
	t.Helper()
	s, err := newOSTable().statOf(os.Getpid())
	require.NoError(t, err)
	return number(t, s.threads)
}

// awaitGoroutines returns when there are no more goroutines than n: a goroutine
// has ended a moment before it is no longer counted.
func awaitGoroutines(n int) {
	for runtime.NumGoroutine() > n {
		runtime.Gosched()
	}
}

func TestNotifyLeavesNothing(t *testing.T) {
	c := start(t, reexec.Command(t, "self"))
	notify := func() func() {
		ended, stop, err := Notify(OS(), c.id)
		require.NoError(t, err)
		require.Empty(t, ended)
		return stop
	}
	notify()() // the poller of the runtime has its own descriptors
	goroutines, fds := runtime.NumGoroutine(), descriptors(t)
	for range 10_000 {
		notify()()
	}
	assert.Equal(t, fds, descriptors(t))
	awaitGoroutines(goroutines)

	// Many at once: a descriptor for each, but no thread.
	before := threads(t)
	var stops []func()
	for range 100 {
		stops = append(stops, notify())
	}
	assert.Equal(t, fds+100, descriptors(t))
	assert.Less(t, threads(t), before+50)
	for _, stop := range stops {
		stop()
	}
	assert.Equal(t, fds, descriptors(t))
	awaitGoroutines(goroutines)
}

// The descriptors that a probe needs are closed when it returns.
func TestProbeLeavesNothing(t *testing.T) {
	c := start(t, reexec.Command(t, "self"))
	noProc := tableAt(t.TempDir())
	before := descriptors(t)
	probeAll := func() {
		for range 10 {
			for _, id := range []Identity{c.id, older(c.id)} {
				probe(OS(), id)
				probe(noProc, id)
			}
		}
	}
	probeAll()
	assert.Equal(t, before, descriptors(t))
	c.kill(t)
	before = descriptors(t) // os.Process may have closed its own
	probeAll()
	assert.Equal(t, before, descriptors(t))
}

func BenchmarkProbe(b *testing.B) {
	table, id := OS(), self()
	for name, id := range map[string]Identity{"alive": id, "alive by start": older(id)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				table.Probe(id)
			}
		})
	}
	b.Run("dead", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			table.Probe(Identity{PID: 1<<31 - 1})
		}
	})
}
