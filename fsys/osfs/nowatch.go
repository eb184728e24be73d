//go:build !(darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd || solaris || windows)

package osfs

import "errors"

// Watch has no events to offer on these systems.
func (d *dir) Watch(name string) (changed <-chan struct{}, stop func(), err error) {
	return nil, nil, pathError("watch", d.prefix+name, errors.ErrUnsupported)
}
