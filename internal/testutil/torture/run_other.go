//go:build !linux

package main

import (
	"errors"
	"fmt"
)

func isWorker() bool { return false }

func worker() {}

// Run needs SIGKILL, shared memory and a clock that all processes share.
func Run(Config) (*Report, error) {
	return nil, fmt.Errorf("torture runs on Linux only: %w", errors.ErrUnsupported)
}
