package main

import (
	"os"
	"syscall"
)

// systemSignals returns what Linux has beyond other systems. The Go runtime
// needs SIGPROF, and 32 to 34 for C libraries.
func systemSignals() []syscall.Signal {
	signals := []syscall.Signal{syscall.SIGPWR}
	for s := syscall.Signal(35); s < 64; s++ {
		signals = append(signals, s)
	}
	return signals
}

// markers returns a signal of a higher number than all that dirlock passes on.
func markers() []os.Signal { return []os.Signal{syscall.Signal(64)} }
