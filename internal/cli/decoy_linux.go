package cli

import (
	"os"
	"runtime"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// decoy is a process that blocks all signals, so that those that it is sent stay
// pending, and tells which it has got.
//
// It is a fork of dirlock that never executes another program: that takes a tenth
// of the time that starting one does. Only one thread is forked, without the
// runtime of Go. So the decoy makes system calls and nothing else: as package
// syscall does between fork and exec, but until its end.
type decoy struct {
	pid int
	fd  int // a socket: it is asked with the number of a signal, and answers 1 or 0
}

// decoyName is what ps(1) shows of the decoy. Whoever sends a signal to all
// processes that are called dirlock, by pkill(1) or killall(1), does not mean it.
const decoyName = "signal-decoy"

// newDecoy starts a decoy. It is nil if there can be none.
func newDecoy() *decoy {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer unix.Close(pair[1])
	// Somebody may have stopped the decoy.
	_ = unix.SetsockoptTimeval(pair[0], unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 5})
	first, size := argumentArea()
	pid, errno := fork(pair[1], first, size)
	if errno != 0 {
		_ = unix.Close(pair[0])
		return nil
	}
	return &decoy{pid, pair[0]}
}

// argumentArea returns where the kernel finds what ps(1) shows of this process,
// if os.Args still says so.
func argumentArea() (first *byte, size int) {
	first = unsafe.StringData(os.Args[0])
	for _, arg := range os.Args {
		if unsafe.StringData(arg) != (*byte)(unsafe.Add(unsafe.Pointer(first), size)) {
			return nil, 0
		}
		size += len(arg) + 1
	}
	return first, size
}

// fork starts the decoy. All signals are blocked meanwhile: no handler of Go's
// runs in it.
func fork(fd int, arguments *byte, size int) (pid int, errno syscall.Errno) {
	var all, before unix.Sigset_t
	for i := range all.Val {
		all.Val[i]--
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if unix.PthreadSigmask(unix.SIG_SETMASK, &all, &before) != nil {
		return 0, unix.EAGAIN
	}
	pid, errno = rawFork()
	if pid == 0 && errno == 0 {
		beDecoy(uintptr(fd), arguments, size)
	}
	_ = unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil)
	return pid, errno
}

// rawFork is fork(2).
//
//go:norace
//go:nosplit
func rawFork() (pid int, errno syscall.Errno) {
	flags, stack := uintptr(unix.SIGCHLD), uintptr(0)
	if runtime.GOARCH == "s390x" {
		flags, stack = stack, flags
	}
	r, _, errno := syscall.RawSyscall6(unix.SYS_CLONE, flags, stack, 0, 0, 0, 0)
	return int(r), errno
}

// What the decoy needs, made before it is.
var (
	decoyDir   = [...]byte{'/', 0}
	decoyTitle = []byte(decoyName)
)

// beDecoy is the decoy itself. It ends with dirlock, which has the other end of
// the socket. It keeps neither files open nor a file system busy.
//
//go:norace
//go:nosplit
func beDecoy(fd uintptr, arguments *byte, size int) {
	_, _, _ = syscall.RawSyscall(unix.SYS_CLOSE_RANGE, 0, fd-1, 0) // Linux 5.9
	_, _, _ = syscall.RawSyscall(unix.SYS_CLOSE_RANGE, fd+1, 1<<31, 0)
	_, _, _ = syscall.RawSyscall(unix.SYS_CHDIR, uintptr(unsafe.Pointer(&decoyDir)), 0, 0)
	_, _, _ = syscall.RawSyscall(unix.SYS_PRCTL, unix.PR_SET_NAME, uintptr(unsafe.Pointer(&decoyTitle[0])), 0)
	for i := range size {
		c := byte(0)
		if i < len(decoyTitle) && i < size-1 {
			c = decoyTitle[i]
		}
		*(*byte)(unsafe.Add(unsafe.Pointer(arguments), i)) = c
	}
	for {
		var b, got byte
		n, _, _ := syscall.RawSyscall(unix.SYS_READ, fd, uintptr(unsafe.Pointer(&b)), 1)
		if n != 1 {
			break
		}
		for takeSignal(uintptr(b)) {
			got = 1
		}
		_, _, _ = syscall.RawSyscall(unix.SYS_WRITE, fd, uintptr(unsafe.Pointer(&got)), 1)
	}
	_, _, _ = syscall.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
}

// takeSignal takes a signal that is pending, if there is one.
//
//go:norace
//go:nosplit
func takeSignal(s uintptr) bool {
	var set unix.Sigset_t
	const bits = 8 * unsafe.Sizeof(set.Val[0])
	set.Val[(s-1)/bits%uintptr(len(set.Val))] |= 1 << ((s - 1) % bits)
	var now [2]uint64 // a timespec of 0
	r, _, _ := syscall.RawSyscall6(unix.SYS_RT_SIGTIMEDWAIT, uintptr(unsafe.Pointer(&set)), 0, uintptr(unsafe.Pointer(&now)), sigsetSize, 0, 0)
	return r == s
}

// sigsetSize is the number of bytes that the kernel has for a set of signals.
var sigsetSize = map[bool]uintptr{true: 16, false: 8}[strings.HasPrefix(runtime.GOARCH, "mips")]

// got tells whether the decoy has got a signal since it was last asked. A decoy
// that does not answer is of no more use.
func (d *decoy) got(s syscall.Signal) (got, ok bool) {
	b := []byte{byte(s)}
	if err := unix.Send(d.fd, b, unix.MSG_NOSIGNAL); err != nil {
		return false, false
	}
	for {
		n, err := unix.Read(d.fd, b)
		if err != unix.EINTR {
			return b[0] == 1, n == 1
		}
	}
}

// endedBy returns the signal that has ended the decoy: none that can be passed on.
func (d *decoy) endedBy() syscall.Signal {
	d.stop()
	return 0
}

// stop ends the decoy, and waits for that: not every process 1 reaps what dirlock
// would leave.
func (d *decoy) stop() {
	_ = unix.Close(d.fd)
	_ = unix.Kill(d.pid, unix.SIGKILL)
	for {
		if _, err := unix.Wait4(d.pid, nil, 0, nil); err != unix.EINTR {
			return
		}
	}
}

func (d *decoy) processID() int { return d.pid }
