//go:build unix && !linux

package main

import (
	"os"
	"syscall"
)

// systemSignals returns what the system has beyond others.
func systemSignals() []syscall.Signal { return nil }

// markers returns a signal of a higher number than all that dirlock passes on,
// if there is one.
func markers() []os.Signal { return nil }
