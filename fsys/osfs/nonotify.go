//go:build !(darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd || solaris || windows)

package osfs

import "errors"

// Notify has no events to offer on these systems.
func (d *osDir) Notify(name string) (changed <-chan struct{}, stop func(), err error) {
	return nil, nil, pathError("notify", d.prefix+name, errors.ErrUnsupported)
}
