//go:build aix || solaris

package osfs

import "syscall"

// link goes by the path: Go has no linkat for these systems. If that leads to
// another directory by now, it finds no temporary file of ours there.
func (d *dir) link(oldname, newname string) error {
	return uninterrupted(func() error { return syscall.Link(d.prefix+oldname, d.prefix+newname) })
}
