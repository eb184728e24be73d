//go:build !linux && !freebsd

package main

import (
	"errors"
	"os/exec"
)

// killWithParent fails: the system has nothing for it.
func killWithParent(*exec.Cmd) error { return errors.ErrUnsupported }
