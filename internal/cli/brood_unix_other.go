//go:build unix && !linux

package cli

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// brood is the processes that a command has started. They inherit the end of a
// pipe: while one of them has it, the pipe does not end.
type brood struct {
	changed chan os.Signal // the pipe has ended
	keep    func()
	ended   chan struct{}
}

func newBrood(watch bool) *brood {
	b := &brood{changed: make(chan os.Signal, 1), keep: func() {}, ended: make(chan struct{})}
	r, w, err := os.Pipe()
	if !watch || err != nil {
		close(b.ended)
		return b
	}
	defer w.Close()
	fd, err := unix.FcntlInt(w.Fd(), unix.F_DUPFD, firstFD)
	if err != nil {
		_ = r.Close()
		close(b.ended)
		return b
	}
	b.keep = func() { _ = unix.Close(fd) }
	go func() {
		_, _ = r.Read(make([]byte, 1))
		close(b.ended)
		b.changed <- syscall.SIGCHLD
	}()
	return b
}

// started is called when the command has inherited its end of the pipe, or could
// not be started.
func (b *brood) started() { b.keep() }

func (*brood) watch() {}

func (*brood) stop() {}

func (*brood) reap(...int) {}

// left tells whether anything is left of the brood, but not what.
func (b *brood) left(int) (pids []int, any bool) {
	select {
	case <-b.ended:
		return nil, false
	default:
		return nil, true
	}
}
