package proc

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// notify waits until a pidfd becomes readable. The pidfd is in the runtime's
// network poller: a goroutine waits, but no thread.
func (t *osTable) notify(id Identity) (<-chan struct{}, func(), error) {
	fd, err := pidfdOpen(id.PID)
	if err == unix.ESRCH {
		return alreadyEnded()
	}
	if err != nil {
		return nil, nil, notifyError(id.PID, pidfdError(err))
	}
	f, err := pollable(fd, id.PID)
	if err != nil {
		unix.Close(fd)
		return nil, nil, notifyError(id.PID, err)
	}
	// The pidfd is for the process that had the PID a moment ago. If that was
	// not the one asked about, then the one asked about is dead, and probe says
	// so. If it was, and has ended since, the pidfd is readable.
	if state, _ := t.probe(id); state == Dead {
		f.Close()
		return alreadyEnded()
	}
	// Without the poller, there is no way to wait and to stop waiting.
	if err := f.SetReadDeadline(time.Time{}); err != nil {
		f.Close()
		return nil, nil, notifyError(id.PID, fmt.Errorf("%w: no poller for a pidfd: %w", errors.ErrUnsupported, err))
	}
	raw, err := f.SyscallConn()
	if err != nil {
		f.Close()
		return nil, nil, notifyError(id.PID, err)
	}
	c := make(chan struct{}, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		// Read returns when the function returns true, or f is closed.
		if raw.Read(func(fd uintptr) bool { return hasEnded(int(fd)) }) == nil {
			c <- struct{}{}
		}
	}()
	return c, func() {
		f.Close()
		<-done
	}, nil
}

// pidfdError makes an error of pidfdOpen match errors.ErrUnsupported if a kernel
// or a sandbox without pidfds returns it.
func pidfdError(err error) error {
	switch err {
	case unix.ENOSYS, unix.EPERM, unix.EINVAL:
		return fmt.Errorf("%w: pidfd_open: %w", errors.ErrUnsupported, err)
	}
	return os.NewSyscallError("pidfd_open", err)
}

// pollable makes a pidfd a file that os.NewFile gives to the poller, because it
// does not block. (The flag PIDFD_NONBLOCK is younger than pidfd_open: Linux
// 5.10.)
func pollable(fd, pid int) (*os.File, error) {
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	return os.NewFile(uintptr(fd), "pidfd:"+strconv.Itoa(pid)), nil
}
