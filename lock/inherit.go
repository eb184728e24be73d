package lock

import (
	"os"

	"github.com/dirlock/dirlock/fsys"
)

// File returns a descriptor that keeps the lock, for a program that this one
// starts and that must not go on alone: pass it in ExtraFiles of an
// [os/exec.Cmd], start the program, and close it here. Even if this process dies
// then, the directory stays locked until the program, and every other process
// that has inherited the descriptor from it, has ended or closed it. Unlock
// releases the lock all the same.
//
// The error matches [ErrNotHeld] if this handle does not hold the lock, or
// [errors.ErrUnsupported] where no descriptor keeps it: on Windows, and on file
// systems without a kernel witness (see [fsys.Witnesser]).
func (l *DirLock) File() (*os.File, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := l.newest()
	if h == nil {
		return nil, l.wrap("file", ErrNotHeld)
	}
	f, err := fsys.Dup(h.file)
	return f, l.wrap("file", err)
}
