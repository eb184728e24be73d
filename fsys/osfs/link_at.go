//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package osfs

import "golang.org/x/sys/unix"

func (d *dir) link(oldname, newname string) error {
	return uninterrupted(func() error { return unix.Linkat(d.fd, oldname, d.fd, newname, 0) })
}
