package osfs

import (
	"errors"
	"io/fs"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/dirlock/dirlock/fsys"
)

// The line for a file is that of the processes that wait in the kernel for a
// write lock on one byte of it, lineByte (fcntl(2), F_OFD_SETLKW). The file's
// creator holds a lock on that byte and on all before it. The kernel has those
// that wait one behind the other since Linux 5.0, and wakes one at a time.
//
// Whoever asks for a witness asks for the bytes before lineByte: it does not
// matter to him who is first in the line of a dead owner. Those in line have a
// read lock, which they share, on presentByte, so that they can see each other.
const (
	lineByte    = 1 << 62
	presentByte = lineByte + 1
)

// place is a place in that line.
type place struct {
	path string
	fd   int

	mu          sync.Mutex
	tid         int // of the thread that waits, or 0
	interrupted bool
	closed      bool

	// What the thread asks for. The kernel reads it when the call begins, and
	// again when it begins anew after a signal.
	request unix.Flock_t
}

var (
	_ fsys.Liner = (*dir)(nil)
	_ fsys.Liner = (*named)(nil)
)

func (n *named) Line(name string) (fsys.Spot, error) {
	return in(n, "line", n.prefix+name, func(d *dir) (fsys.Spot, error) { return d.Line(name) })
}

func (d *dir) Line(name string) (fsys.Spot, error) {
	err := d.beginFile(name)
	var p *place
	if err == nil {
		p, err = d.line(name)
		d.end()
	}
	if err != nil {
		return nil, pathError("line", d.prefix+name, err)
	}
	return p, nil
}

func (d *dir) line(name string) (*place, error) {
	known, err := d.facts()
	if err != nil {
		return nil, err
	}
	// FUSE may have locks of its own, which block as it likes.
	if !known.Direct && known.Type != "overlay" || signal.Ignored(unix.SIGURG) {
		return nil, errors.ErrUnsupported
	}
	fd, err := openat(d.fd, name, toLook|unix.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	var st unix.Stat_t
	err = fstat(fd, &st)
	if err == nil && !isRegular(&st) {
		err = fsys.ErrNotRegular
	}
	if err == nil {
		err = ofdLock(fd, unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_RDLCK, Start: presentByte, Len: 1})
	}
	if err != nil {
		_ = closeFD(fd)
		return nil, err
	}
	return &place{
		path: d.prefix + name, fd: fd,
		request: unix.Flock_t{Type: unix.F_WRLCK, Start: lineByte, Len: 1},
	}, nil
}

func ofdLock(fd, how int, l *unix.Flock_t) error {
	return uninterrupted(func() error { return unix.FcntlFlock(uintptr(fd), how, l) })
}

// Wait blocks in the thread of the caller.
func (p *place) Wait() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := p.begin()
	if err == nil {
		err = ofdLock(p.fd, unix.F_OFD_SETLKW, &p.request)
		if p.end() && err == unix.EINVAL {
			err = fsys.ErrInterrupted
		}
	}
	if err != nil {
		return pathError("line", p.path, err)
	}
	return nil
}

// begin says which thread is to be interrupted.
func (p *place) begin() error {
	var blocked unix.Sigset_t
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, nil, &blocked); err != nil {
		return err
	}
	if isMember(&blocked, unix.SIGURG) { // the program was started like that
		return errors.ErrUnsupported
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
		return fs.ErrClosed
	case p.interrupted:
		return fsys.ErrInterrupted
	}
	p.tid = unix.Gettid()
	return nil
}

func (p *place) end() (interrupted bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tid = 0
	return p.interrupted
}

// Interrupt makes the request one that the kernel refuses, and then disturbs the
// thread that waits by a signal that Go programs have all the time. After a
// signal the kernel begins such a call anew, and reads the request again; if it
// has not read it yet, there is nothing to disturb.
func (p *place) Interrupt() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.interrupted = true
	atomic.StoreInt32(&p.request.Pid, 1) // must be 0 with such locks
	if p.tid != 0 {
		_ = unix.Tgkill(os.Getpid(), p.tid, unix.SIGURG)
	}
}

func (p *place) Followed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := unix.Flock_t{Type: unix.F_WRLCK, Start: presentByte, Len: 1}
	return !p.closed && ofdLock(p.fd, unix.F_OFD_GETLK, &l) == nil && l.Type != unix.F_UNLCK
}

func (p *place) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	err := error(fs.ErrClosed)
	if !p.closed {
		p.closed = true
		err = closeFD(p.fd)
	}
	if err != nil {
		return pathError("close", p.path, err)
	}
	return nil
}

// letPass ends the lock on a file that has no name any more, and which other
// processes have open: nobody can see their lock, and they do not get in the way
// of those in line.
func letPass(fd int) {
	var st unix.Stat_t
	if fstat(fd, &st) == nil && st.Nlink == 0 {
		_ = ofdLock(fd, unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_UNLCK})
	}
}

func isMember(set *unix.Sigset_t, sig unix.Signal) bool {
	const bits = 32 << (^uint(0) >> 63)
	n := uint(sig) - 1
	return uint(set.Val[n/bits])>>(n%bits)&1 != 0
}
