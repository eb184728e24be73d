//go:build unix

package osfs

import (
	"errors"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/dirlock/dirlock/fsys"
)

var _ fsys.Inheritor = (*osFile)(nil)

// Dup implements [fsys.Inheritor]: both kinds of lock belong to the open file,
// and not to the process or the descriptor.
func (f *osFile) Dup() (*os.File, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	err := error(fs.ErrClosed)
	switch {
	case f.closed:
	case f.locked == fsys.NoWitness || f.fd < 0:
		err = errors.ErrUnsupported
	default:
		syscall.ForkLock.RLock()
		fd, dupErr := unix.Dup(f.fd)
		if dupErr == nil {
			unix.CloseOnExec(fd)
		}
		syscall.ForkLock.RUnlock()
		if err = dupErr; err == nil {
			f.shared = true
			return os.NewFile(uintptr(fd), f.d.path), nil
		}
	}
	return nil, pathError("dup", f.d.path, err)
}
