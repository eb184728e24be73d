//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package proc

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// notify waits for NOTE_EXIT of EVFILT_PROC in kqueue(2), and for the end of a
// pipe that stop closes. Both the goroutine and its thread wait, because the
// runtime's poller does not take a kqueue on every one of these systems.
func (t *osTable) notify(id Identity) (<-chan struct{}, func(), error) {
	fail := func(call string, err error) (<-chan struct{}, func(), error) {
		return nil, nil, fmt.Errorf("proc: notify of process %d: %w", id.PID, os.NewSyscallError(call, err))
	}
	syscall.ForkLock.RLock()
	kq, err := unix.Kqueue()
	if err == nil {
		unix.CloseOnExec(kq)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return fail("kqueue", err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		unix.Close(kq)
		return fail("pipe", err)
	}
	release := func() {
		unix.Close(kq)
		r.Close()
		w.Close()
	}
	changes := make([]unix.Kevent_t, 2)
	unix.SetKevent(&changes[0], id.PID, unix.EVFILT_PROC, unix.EV_ADD|unix.EV_ONESHOT)
	changes[0].Fflags = unix.NOTE_EXIT
	unix.SetKevent(&changes[1], int(r.Fd()), unix.EVFILT_READ, unix.EV_ADD)
	switch _, err := unix.Kevent(kq, changes, nil, nil); err {
	case nil:
	case unix.ESRCH: // no process, or a zombie
		release()
		return alreadyEnded()
	default:
		release()
		return fail("kevent", err)
	}
	// The event is of the process that had the PID a moment ago. If that was
	// another one than was asked for, then that one is dead, and probe says so.
	if state, _ := t.probe(id); state == Dead {
		release()
		return alreadyEnded()
	}
	c := make(chan struct{}, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		events := make([]unix.Kevent_t, 1)
		n, err := 0, error(unix.EINTR)
		for err == unix.EINTR {
			n, err = unix.Kevent(kq, nil, events, nil)
		}
		// An error, too, means that it is time to look again.
		if err != nil || n == 1 && events[0].Filter == unix.EVFILT_PROC {
			c <- struct{}{}
		}
	}()
	return c, func() {
		w.Close()
		<-done
		release()
	}, nil
}
