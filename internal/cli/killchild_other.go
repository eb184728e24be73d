//go:build !linux && !freebsd

package cli

import (
	"errors"
	"syscall"
)

// killWithParent fails: the system has nothing for it.
func killWithParent() (*syscall.SysProcAttr, error) { return nil, errors.ErrUnsupported }
