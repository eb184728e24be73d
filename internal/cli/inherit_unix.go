//go:build unix

package cli

import (
	"errors"
	"os"
	"os/exec"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/dirlock/dirlock/lock"
)

// firstFD is the lowest number of the descriptor that the command inherits. The
// lower ones are for what the user passes on to it, as with a shell's.
const firstFD = 10

// bequeath lets a command inherit what keeps the lock: as long as any process has
// it, the lock is held, even if dirlock is killed. After the start, done has to
// be called. Where there is nothing to inherit, the lock ends with dirlock.
func bequeath(l *lock.DirLock, cmd *exec.Cmd) (done func(), err error) {
	fd, err := inheritable(l)
	if fd < 0 {
		return func() {}, err
	}
	cmd.Env = append(cmd.Env, envFD+"="+strconv.Itoa(fd))
	return func() { _ = unix.Close(fd) }, nil
}

// inheritable returns a descriptor that programs inherit, or -1.
func inheritable(l *lock.DirLock) (int, error) {
	f, err := l.File()
	if errors.Is(err, errors.ErrUnsupported) {
		return -1, nil
	}
	if err != nil {
		return -1, err
	}
	defer f.Close()
	// Not close-on-exec; nothing else is started meanwhile.
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD, firstFD)
	if err == unix.EINVAL { // there are not so many
		fd, err = unix.FcntlInt(f.Fd(), unix.F_DUPFD, 3)
	}
	if err != nil {
		return -1, os.NewSyscallError("fcntl", err)
	}
	return fd, nil
}

// become executes a command in the place of this process.
func become(l *lock.DirLock, dir string, command []string) error {
	cmd := newCommand(command)
	if cmd.Err != nil {
		return cannotRun(command, cmd.Err)
	}
	cmd.Env = environment(l, dir)
	done, err := bequeath(l, cmd)
	if err != nil {
		return err
	}
	err = unix.Exec(cmd.Path, cmd.Args, cmd.Env)
	if errors.Is(err, errNotProgram) && isText(cmd.Path) {
		err = unix.Exec("/bin/sh", append([]string{"/bin/sh", cmd.Path}, cmd.Args[1:]...), cmd.Env)
	}
	done()
	return cannotRun(command, err)
}

// terminate asks a process to end.
func terminate(p *os.Process) error { return p.Signal(syscall.SIGTERM) }

// wasKilled tells whether a signal ended a process.
func wasKilled(s *os.ProcessState) bool {
	w, ok := s.Sys().(syscall.WaitStatus)
	return ok && w.Signaled()
}
