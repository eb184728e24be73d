//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd || windows)

package proc

import "errors"

// notify fails: the system does not report the end of a process that is not a
// child.
func (t *osTable) notify(id Identity) (<-chan struct{}, func(), error) {
	return nil, nil, notifyError(id.PID, errors.ErrUnsupported)
}
