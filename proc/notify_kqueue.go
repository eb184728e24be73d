//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package proc

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// exitQueue is a kqueue(2) that waits for the end of a process, and for the end
// of a pipe, which ends the wait.
type exitQueue struct {
	kq   int
	r, w *os.File
}

// newExitQueue returns a queue that waits for nothing yet.
func newExitQueue() (*exitQueue, error) {
	syscall.ForkLock.RLock()
	kq, err := unix.Kqueue()
	if err == nil {
		unix.CloseOnExec(kq)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, os.NewSyscallError("kqueue", err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		unix.Close(kq)
		return nil, err
	}
	return &exitQueue{kq, r, w}, nil
}

// add has the queue wait for NOTE_EXIT of a process, and for the pipe. It
// returns ESRCH if there is no such process, or only a zombie.
func (q *exitQueue) add(pid int) error {
	changes := make([]unix.Kevent_t, 2)
	unix.SetKevent(&changes[0], pid, unix.EVFILT_PROC, unix.EV_ADD|unix.EV_ONESHOT)
	changes[0].Fflags = unix.NOTE_EXIT
	unix.SetKevent(&changes[1], int(q.r.Fd()), unix.EVFILT_READ, unix.EV_ADD)
	_, err := unix.Kevent(q.kq, changes, nil, nil)
	return err
}

// wait reports whether the process has ended; if not, the pipe has. An error,
// too, means that it is time to look at the process.
func (q *exitQueue) wait() bool {
	events := make([]unix.Kevent_t, 1)
	n, err := retry(func() (int, error) { return unix.Kevent(q.kq, nil, events, nil) })
	return err != nil || n == 1 && events[0].Filter == unix.EVFILT_PROC
}

func (q *exitQueue) close() {
	unix.Close(q.kq)
	q.r.Close()
	q.w.Close()
}

// notify waits in a goroutine with a thread of its own, because the runtime's
// poller does not take a kqueue on all of these systems.
func (t *osTable) notify(id Identity) (<-chan struct{}, func(), error) {
	q, err := newExitQueue()
	if err != nil {
		return nil, nil, notifyError(id.PID, err)
	}
	switch err := q.add(id.PID); err {
	case nil:
	case unix.ESRCH:
		q.close()
		return alreadyEnded()
	default:
		q.close()
		return nil, nil, notifyError(id.PID, os.NewSyscallError("kevent", err))
	}
	// The event is for the process that had the PID a moment ago. If that was
	// not the one asked about, then the one asked about is dead, and probe says
	// so.
	if state, _ := t.probe(id); state == Dead {
		q.close()
		return alreadyEnded()
	}
	c := make(chan struct{}, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if q.wait() {
			c <- struct{}{}
		}
	}()
	return c, func() {
		q.w.Close()
		<-done
		q.close()
	}, nil
}
