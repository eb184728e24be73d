//go:build unix

package fsystest_test

import (
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/dirlock/dirlock/fsys/fsystest"
)

// foreign does to the real file system what other programs do.
func foreign(kind fsystest.Kind, dir, name string) error {
	path := filepath.Join(dir, name)
	var err error
	switch kind {
	case fsystest.Directory:
		err = os.Mkdir(path, 0o755)
	case fsystest.Symlink:
		target := filepath.Join(dir, "target")
		if err = os.WriteFile(target, []byte("secret"), 0o600); err == nil {
			err = os.Symlink(target, path)
		}
	case fsystest.DanglingLink:
		err = os.Symlink(filepath.Join(dir, "nowhere"), path)
	case fsystest.FIFO:
		err = unix.Mkfifo(path, 0o666)
	case fsystest.Socket:
		err = bindSocket(path)
	case fsystest.Device:
		err = mknod(path)
	case fsystest.Huge:
		if err = os.WriteFile(path, []byte("huge"), 0o644); err == nil {
			err = os.Truncate(path, 1<<40)
			if errors.Is(err, unix.EFBIG) || errors.Is(err, unix.ENOSPC) { // no holes
				err = os.Truncate(path, 1<<20)
			}
		}
	case fsystest.Moved:
		err = os.Rename(path, path+".moved")
	case fsystest.Overwritten:
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = f.WriteString("foreign")
		return errors.Join(err, f.Close())
	default:
		return errors.ErrUnsupported
	}
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EIO) {
		// Not on this file system (exfat-fuse says EIO), or not without being
		// root.
		return errors.ErrUnsupported
	}
	return err
}

// bindSocket leaves the socket's file behind when it closes the socket.
func bindSocket(path string) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err == unix.EINVAL {
		return errors.ErrUnsupported // the path is too long
	} else {
		return err
	}
}
