package proc

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const maxPID = maxPID32

// osState is what the Linux table knows of its own process.
type osState struct {
	proc  string // where procfs is mounted
	clock string // the time namespace, by the clock of which /proc/PID/stat counts
	mine  bool   // procfs counts processes as getpid(2) does
}

func newOSTable() *osTable { return &osTable{osState: osState{proc: "/proc"}} }

// identify asks procfs:
//   - Boot is /proc/sys/kernel/random/boot_id, a random UUID made once per boot
//     (random(4)). Containers share it, because they share the kernel.
//   - Namespace is the inode number of /proc/self/ns/pid, which no other PID
//     namespace has while one of its processes lives (namespaces(7)).
//   - Start is field 22 of /proc/self/stat, the clock ticks from boot to start
//     (proc_pid_stat(5); constant since Linux 2.6, and over execve(2)), and
//     after an @ the time namespace. Field 22 counts on the boot-time clock of
//     the time namespace of whoever reads it (time_namespaces(7), Linux 5.6),
//     so that two of them compare only if that is the same. Before Linux 5.6
//     it is empty.
//
// Where procfs is missing, or belongs to another PID namespace, so that its
// numbers mean other processes, what it cannot tell stays empty.
func (t *osTable) identify() Identity {
	var id Identity
	if b, err := read(t.proc+"/sys/kernel/random/boot_id", make([]byte, 64)); err == nil {
		id.Boot = token(strings.TrimSpace(string(b)))
	}
	id.Namespace = t.namespace("pid")
	t.clock = t.namespace("time")
	t.mine = t.countsAsWeDo()
	if s, err := t.stat(os.Getpid()); err == nil {
		id.Start = s.start + "@" + t.clock
	}
	return id
}

// namespace returns the N of the link "kind:[N]", the inode number of a
// namespace of this process, or "".
func (t *osTable) namespace(kind string) string {
	link, _ := os.Readlink(t.proc + "/self/ns/" + kind)
	n, _ := strings.CutPrefix(link, kind+":[")
	n, ok := strings.CutSuffix(n, "]")
	if !ok || !digits(n) {
		return ""
	}
	return n
}

// countsAsWeDo says whether procfs was mounted for the PID namespace of this
// process (pid_namespaces(7), "/proc and PID namespaces"). In one for an
// ancestor of it, /proc/self has another number, as a rule; but always, since
// Linux 4.1, NSpid in /proc/self/status lists this process's number in each of
// several namespaces (proc_pid_status(5)). In one for any other namespace,
// there is no /proc/self.
func (t *osTable) countsAsWeDo() bool {
	self, err := os.Readlink(t.proc + "/self")
	if err != nil || self != strconv.Itoa(os.Getpid()) {
		return false
	}
	status, err := os.ReadFile(t.proc + "/self/status") // all of it: a list of groups comes first
	if err != nil {
		return false
	}
	_, numbers, ok := bytes.Cut(status, []byte("\nNSpid:"))
	numbers, _, _ = bytes.Cut(numbers, []byte("\n"))
	return !ok || len(bytes.Fields(numbers)) == 1
}

var errOtherProc = errors.New("procfs is missing or belongs to another PID namespace")

// stat reads /proc/PID/stat. Everybody may, unless procfs is mounted with
// hidepid (proc(5)), or a security module objects.
func (t *osTable) stat(pid int) (stat, error) {
	if !t.mine {
		return stat{}, errOtherProc
	}
	b, err := read(t.proc+"/"+strconv.Itoa(pid)+"/stat", make([]byte, 1024)) // the first 22 fields have at most 500 bytes
	if err != nil {
		return stat{}, err
	}
	return parseStat(b)
}

// read reads the beginning of a file of procfs into b, in one system call: such
// a file is made when it is read. An os.File costs more than that.
func read(path string, b []byte) ([]byte, error) {
	fd, err := retry(func() (int, error) { return unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0) })
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	n, err := retry(func() (int, error) { return unix.Read(fd, b) })
	if err != nil {
		return nil, err
	}
	return b[:n], nil
}

// probe reads the start time first, which three system calls do. Only if that
// does not settle it does it ask for the process as such.
func (t *osTable) probe(id Identity) (State, string) {
	s, err := t.stat(id.PID)
	if err != nil {
		switch lives(id.PID) {
		case ended:
			return Dead, reasonEnded
		case none:
			return Dead, reasonNone
		}
		return Unknown, reasonHidden
	}

	ticks, clock, ok := strings.Cut(id.Start, "@")
	comparable := ok && clock == t.clock
	if comparable && ticks != s.start {
		return Dead, reasonReused
	}
	runs := reasonRuns
	if s.zombie() {
		// The leader has ended; the process has only if no other thread
		// is left. The count of threads includes the leader until it is
		// reaped. It is asked for only where there is no pidfd, because
		// it still counts threads that have ended and wait for release.
		switch lives(id.PID) {
		case ended:
			return Dead, reasonZombie
		case none:
			return Dead, reasonNone // reaped just now
		case exists:
			if s.threads == "0" || s.threads == "1" {
				return Dead, reasonZombie
			}
		}
		runs = reasonThread
	}
	switch {
	case id.Start == "":
		return Unknown, reasonNoStart
	case !comparable:
		return Unknown, reasonClock
	}
	return Alive, runs
}

// life is what the kernel says of a PID without procfs.
type life uint8

const (
	none    life = iota // no process has this PID
	ended               // a process has it, and none of its threads runs
	running             // a process has it, and a thread of it runs
	exists              // something has it: a process, a zombie, or a thread
)

// lives asks the kernel for a process. A pidfd (pidfd_open(2), Linux 5.3) knows
// whether all threads have ended. Without, kill(2) with signal 0, which sends
// nothing, tells only whether there is anything with that number.
func lives(pid int) life {
	fd, err := pidfdOpen(pid)
	switch err {
	case nil:
		defer unix.Close(fd)
		if hasEnded(fd) {
			return ended
		}
		return running
	case unix.ESRCH:
		return none
	}
	if err := unix.Kill(pid, 0); err == unix.ESRCH {
		return none
	}
	return exists // EPERM too: there is somebody whom we may not signal
}

// pidfdOpen opens a pidfd, which is closed on execve(2).
//
// A number that is not a process's, but is still in use as that of a thread, a
// process group or a session, gives EINVAL before Linux 6.16, and ENOENT for a
// thread and ESRCH for the others since (seen on 6.18). It is ESRCH here: PIDs
// and thread IDs come from one set of numbers, so that no process can have it
// (pidfd_open(2), fork(2)). EINVAL means this only if the call exists as such;
// a sandbox may deny it with any error.
func pidfdOpen(pid int) (int, error) {
	if runtime.GOOS == "android" {
		return -1, unix.ENOSYS // the sandbox of an app may end who tries
	}
	fd, err := retry(func() (int, error) { return unix.PidfdOpen(pid, 0) })
	if err == unix.EINVAL || err == unix.ENOENT {
		self, selfErr := unix.PidfdOpen(os.Getpid(), 0)
		if selfErr != nil {
			return -1, err
		}
		unix.Close(self)
		return -1, unix.ESRCH
	}
	return fd, err
}

// hasEnded says whether all threads of a pidfd's process have ended, reaped or
// not: only then is it readable (pidfd_open(2)).
func hasEnded(pidfd int) bool {
	p := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
	n, err := retry(func() (int, error) { return unix.Poll(p, 0) })
	return err == nil && n == 1 && p[0].Revents&unix.POLLIN != 0
}

// retry calls f until it is not interrupted by a signal.
func retry(f func() (int, error)) (int, error) {
	for {
		n, err := f()
		if err != unix.EINTR {
			return n, err
		}
	}
}

// notify waits for a pidfd to become readable. The pidfd is in the runtime's
// network poller, so that a goroutine waits, but no thread.
func (t *osTable) notify(id Identity) (<-chan struct{}, func(), error) {
	fail := func(err error) (<-chan struct{}, func(), error) {
		return nil, nil, fmt.Errorf("proc: notify of process %d: %w", id.PID, err)
	}
	fd, err := pidfdOpen(id.PID)
	switch err {
	case nil:
	case unix.ESRCH:
		return alreadyEnded()
	case unix.ENOSYS, unix.EPERM, unix.EINVAL:
		return fail(fmt.Errorf("%w: pidfd_open: %w", errors.ErrUnsupported, err))
	default:
		return fail(os.NewSyscallError("pidfd_open", err))
	}
	// Non-blocking makes os.NewFile give it to the poller. (The flag
	// PIDFD_NONBLOCK came later than pidfd_open, in Linux 5.10.)
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return fail(os.NewSyscallError("fcntl", err))
	}
	f := os.NewFile(uintptr(fd), "pidfd:"+strconv.Itoa(id.PID))
	// The pidfd is of the process that had the PID a moment ago. If that was
	// another one than was asked for, then that one is dead, and probe says so;
	// if it was the right one and has ended since, then the pidfd is readable.
	if state, _ := t.probe(id); state == Dead {
		f.Close()
		return alreadyEnded()
	}
	// Outside of the poller nobody could wait for it, nor stop waiting.
	if err := f.SetReadDeadline(time.Time{}); err != nil {
		f.Close()
		return fail(fmt.Errorf("%w: no poller for a pidfd: %w", errors.ErrUnsupported, err))
	}
	raw, err := f.SyscallConn()
	if err != nil {
		f.Close()
		return fail(err)
	}
	c := make(chan struct{}, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		// Read returns when the function is true, or f is closed.
		if raw.Read(func(fd uintptr) bool { return hasEnded(int(fd)) }) == nil {
			c <- struct{}{}
		}
	}()
	return c, func() {
		f.Close()
		<-done
	}, nil
}
