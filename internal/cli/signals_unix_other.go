//go:build unix && !linux

package cli

import "syscall"

// rareSignals returns the other signals that dirlock passes on.
func rareSignals() []syscall.Signal {
	return []syscall.Signal{syscall.SIGALRM, syscall.SIGVTALRM, syscall.SIGIO}
}
