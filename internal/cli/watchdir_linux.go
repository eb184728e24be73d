package cli

import (
	"os"

	"golang.org/x/sys/unix"
)

// watchDir returns a channel that receives after a file was made in a directory,
// or removed there, or after the directory itself was removed or renamed.
func watchDir(dir string) (changed <-chan struct{}, stop func(), err error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, nil, os.NewSyscallError("inotify_init1", err)
	}
	f := os.NewFile(uintptr(fd), "inotify")
	const mask = unix.IN_CREATE | unix.IN_MOVED_TO | unix.IN_DELETE | unix.IN_DELETE_SELF | unix.IN_MOVE_SELF
	if _, err := unix.InotifyAddWatch(fd, dir, mask|unix.IN_ONLYDIR); err != nil {
		_ = f.Close()
		return nil, nil, os.NewSyscallError("inotify_add_watch", err)
	}
	c := make(chan struct{}, 1)
	go func() {
		b := make([]byte, 64<<10)
		for {
			if _, err := f.Read(b); err != nil {
				return
			}
			select {
			case c <- struct{}{}:
			default:
			}
		}
	}()
	return c, func() { _ = f.Close() }, nil
}
