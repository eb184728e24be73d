package osfs_test

import (
	"runtime"
	"sync"
	"syscall"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// fault makes a system call fail (seccomp(2)).
type fault struct {
	call uintptr
	cmd  uint32 // the second argument, if it is not 0
	err  syscall.Errno
	done bool // The call is done all the same, and its reply is lost.
}

// withFaults runs f on a thread of its own, where these calls fail.
func withFaults(t *testing.T, f func(), faults ...fault) {
	t.Helper()
	var filter []unix.SockFilter
	add := func(code uint16, jt, jf uint8, k uint32) {
		filter = append(filter, unix.SockFilter{Code: code, Jt: jt, Jf: jf, K: k})
	}
	const load, equal, answer = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, unix.BPF_RET | unix.BPF_K
	lost := map[uintptr]syscall.Errno{}
	for _, x := range faults {
		then := uint32(unix.SECCOMP_RET_ERRNO) | uint32(x.err)
		if x.done {
			then = unix.SECCOMP_RET_USER_NOTIF
			lost[x.call] = x.err
		}
		add(load, 0, 0, 0) // seccomp_data.nr
		if x.cmd == 0 {
			add(equal, 0, 1, uint32(x.call))
		} else {
			add(equal, 0, 3, uint32(x.call))
			add(load, 0, 0, 16+8) // seccomp_data.args[1]
			add(equal, 0, 1, x.cmd)
		}
		add(answer, 0, 0, then)
	}
	add(answer, 0, 0, unix.SECCOMP_RET_ALLOW)
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	var flags uintptr
	if len(lost) > 0 {
		flags = unix.SECCOMP_FILTER_FLAG_NEW_LISTENER
	}

	var wg sync.WaitGroup
	wg.Go(func() {
		runtime.LockOSThread() // The thread ends with the goroutine.
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			t.Error("prctl: ", err)
			return
		}
		fd, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&program)))
		if errno != 0 {
			t.Error("seccomp: ", errno)
			return
		}
		if flags != 0 {
			wg.Go(func() { loseReplies(t, int(fd), lost) })
		}
		f()
	})
	wg.Wait()
	runtime.KeepAlive(filter)
}

// loseReplies does the calls of the other thread in its place, and answers with
// an error, until the thread has ended (seccomp_unotify(2)).
func loseReplies(t *testing.T, listener int, lost map[uintptr]syscall.Errno) {
	defer unix.Close(listener)
	type notification struct {
		id    uint64
		pid   uint32
		flags uint32
		nr    int32
		arch  uint32
		ip    uint64
		args  [6]uint64
	}
	type response struct {
		id    uint64
		val   int64
		errno int32
		flags uint32
	}
	const receive, send = 0xc0502100, 0xc0182101
	for {
		fds := []unix.PollFd{{Fd: int32(listener), Events: unix.POLLIN}}
		if _, err := unix.Poll(fds, -1); err == unix.EINTR {
			continue
		}
		if fds[0].Revents&unix.POLLIN == 0 {
			return
		}
		var n notification
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(listener), receive, uintptr(unsafe.Pointer(&n))); errno != 0 {
			continue
		}
		a := n.args
		_, _, errno := unix.Syscall6(uintptr(n.nr), uintptr(a[0]), uintptr(a[1]), uintptr(a[2]), uintptr(a[3]), uintptr(a[4]), uintptr(a[5]))
		if errno == 0 {
			errno = lost[uintptr(n.nr)]
		}
		r := response{id: n.id, errno: -int32(errno)}
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(listener), send, uintptr(unsafe.Pointer(&r))); errno != 0 {
			t.Error("seccomp: ", errno)
		}
	}
}

func TestFaults(t *testing.T) {
	for _, x := range []fault{{call: unix.SYS_UNLINKAT, err: unix.EIO}, {call: unix.SYS_UNLINKAT, err: unix.EIO, done: true}} {
		dir := t.TempDir() + "/x"
		require.NoError(t, unix.Mkdir(dir, 0o755))
		withFaults(t, func() { require.ErrorIs(t, unix.Rmdir(dir), unix.EIO) }, x)
		require.Equal(t, x.done, unix.Access(dir, 0) != nil)
	}
}
