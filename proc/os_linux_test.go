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
)

func init() {
	// mainZombieLeader and mainExec need the first thread.
	runtime.LockOSThread()
	reexec.Register("zombie-leader", mainZombieLeader)
	reexec.Register("exec", mainExec)
	reexec.Register("group", mainGroup)
	reexec.Register("reuse", mainReuse)
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

var (
	alive  = verdict{Alive, reasonRuns}
	thread = verdict{Alive, reasonThread}
	gone   = verdict{Dead, reasonNone}
	over   = verdict{Dead, reasonEnded}
	zombie = verdict{Dead, reasonZombie}
	reused = verdict{Dead, reasonReused}
	hidden = verdict{Unknown, reasonHidden}
	clock  = verdict{Unknown, reasonClock}
	vague  = verdict{Unknown, reasonNoStart}
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

func number(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	require.NoError(t, err)
	return n
}

// statOf is stat for a table that was never asked for itself.
func (t *osTable) statOf(pid int) (stat, error) {
	t.Self()
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
		id := c.id
		id.Start = start
		return id
	}
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

func TestProbeImpossible(t *testing.T) {
	for _, pid := range []int64{0, -1, -int64(os.Getpid()), -1 << 31, -1 << 63, 1 << 31, 1 << 32, 1<<32 + 1, 1<<63 - 1} {
		if int64(int(pid)) != pid {
			continue // a 32-bit system
		}
		assert.Equal(t, verdict{Dead, reasonImpossible}, probe(OS(), Identity{PID: int(pid)}), "%d", pid)
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
			}
		}
		if len(args) > 0 {
			unix.Kill(os.Getpid(), 0)
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
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	syscall.Syscall(syscall.SYS_EXIT, 0, 0, 0)
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
	assert.Equal(t, hidden, probe(tableAt(t.TempDir()), c.id), "a thread of it runs, without procfs")

	ended, stop, err := Notify(OS(), c.id)
	require.NoError(t, err)
	defer stop()
	assert.Empty(t, ended)
	require.NoError(t, c.in.Close())
	<-ended
	assert.Equal(t, zombie, probe(OS(), c.id))
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
		assert.Equal(t, hidden, probe(noProc, c.id))
	})
	c.kill(t)
	onThread(func() {
		require.NoError(t, becomeNobody())
		assert.Equal(t, zombie, probe(OS(), c.id))
		assert.Equal(t, over, probe(noProc, c.id))
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
		assert.Equal(t, hidden, probe(table, c.id))
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
	asNobody(func(table Table) { assert.Equal(t, over, probe(table, c.id)) })
	c.reap()
	asNobody(func(table Table) { assert.Equal(t, gone, probe(table, c.id)) })
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
	c.in.Close()
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
		io.Copy(io.Discard, os.Stdin)
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
// one, and looks dead at no moment.
func TestExecStaysAlive(t *testing.T) {
	c := start(t, reexec.Command(t, "exec", "30", "first"))
	_, err := c.in.Write([]byte("\n"))
	require.NoError(t, err)
	said := make(chan struct{})
	var last Identity
	go func() {
		defer close(said)
		line, _ := c.out.ReadBytes('\n')
		json.Unmarshal(line, &last)
	}()
	noProc := tableAt(t.TempDir())
	for ended := false; !ended; {
		select {
		case <-said:
			ended = true
		default:
		}
		v := probe(OS(), c.id)
		require.Equal(t, Alive, v.State, v.Reason)
		require.Equal(t, hidden, probe(noProc, c.id))
	}
	assert.Equal(t, c.id, last)
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

func TestReuse(t *testing.T) {
	needRoot(t)
	if _, err := os.Stat("/proc/sys/kernel/ns_last_pid"); err != nil {
		t.Skip("no way to choose a PID: ", err)
	}
	cmd := reexec.Command(t, "reuse")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS}
	c := start(t, cmd)
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
	inside := func() *child {
		cmd := reexec.Command(t, "probe")
		cmd.Args = append([]string{unshare, "--time", "--boottime", "86400", cmd.Path}, cmd.Args[1:]...)
		cmd.Path = unshare
		return start(t, cmd)
	}
	if _, err := os.Stat("/proc/self/ns/time"); err != nil {
		t.Skip("no time namespaces: ", err)
	}
	c, d := inside(), inside()
	outside := start(t, reexec.Command(t, "probe"))
	assert.Equal(t, clock, probe(OS(), c.id))
	assert.Equal(t, clock, c.ask(t, self()))
	assert.Equal(t, clock, c.ask(t, d.id))
	assert.Equal(t, alive, c.ask(t, c.id))
	assert.Equal(t, alive, outside.ask(t, self()))
	c.kill(t)
	assert.Equal(t, zombie, probe(OS(), c.id))
	assert.Equal(t, zombie, d.ask(t, c.id))
	c.reap()
	assert.Equal(t, gone, probe(OS(), c.id))
	assert.Equal(t, gone, d.ask(t, c.id))
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
	files := func(change ...string) map[string]string {
		m := map[string]string{
			"sys/kernel/random/boot_id": "b\n",
			"self":                      "-> " + pid,
			pid + "/status":             "Name:\tx\nNSpid:\t" + pid + "\nNSpgid:\t1\t2\n",
			pid + "/stat":               pid + " (x) S" + between + "345 6",
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
			if test.start == "" {
				id.Start = "345@2"
				assert.Equal(t, hidden, probe(table, id))
			} else {
				assert.Equal(t, alive, probe(table, id))
			}
		})
	}
}

// A process can end between any two steps of a probe.
func TestVanishes(t *testing.T) {
	pid := strconv.Itoa(os.Getpid())
	none := 1<<31 - 1
	table := fixture(t, map[string]string{
		"self":                        "-> " + pid,
		pid + "/status":               "",
		pid + "/ns/time":              "-> time:[2]",
		strconv.Itoa(none) + "/stat":  "7 (x) Z" + between + "345 6",
		strconv.Itoa(os.Getppid()):    "a file",
		pid + "/stat":                 "",
		strconv.Itoa(1) + "/stat/dir": "stat is a directory: it opens, but does not read",
	})
	assert.Equal(t, gone, probe(table, Identity{PID: none, Start: "345@2"}), "reaped after stat was read")
	assert.Equal(t, hidden, probe(table, Identity{PID: os.Getppid(), Start: "345@2"}))
	assert.Equal(t, hidden, probe(table, Identity{PID: 1, Start: "345@2"}))
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
	id := self()
	id.Start = "1" + id.Start
	ended, stop, err := Notify(OS(), id)
	require.NoError(t, err)
	<-ended
	stop()
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
			probe(OS(), c.id)
			probe(noProc, c.id)
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
	b.Run("alive", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			table.Probe(id)
		}
	})
	b.Run("dead", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			table.Probe(Identity{PID: 1<<31 - 1})
		}
	})
}
