package cli

import "syscall"

// rareSignals returns the other signals that dirlock passes on: the real-time ones
// among them, of which Go needs 32 to 34 for C libraries.
func rareSignals() []syscall.Signal {
	signals := []syscall.Signal{syscall.SIGALRM, syscall.SIGVTALRM, syscall.SIGIO, syscall.SIGPWR}
	for s := syscall.Signal(35); s < 64; s++ {
		signals = append(signals, s)
	}
	return signals
}
