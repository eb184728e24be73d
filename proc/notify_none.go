//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd || windows)

package proc

import (
	"errors"
	"fmt"
)

// notify: the system has no event for the end of any process.
func (t *osTable) notify(id Identity) (<-chan struct{}, func(), error) {
	return nil, nil, fmt.Errorf("proc: notify of process %d: %w", id.PID, errors.ErrUnsupported)
}
