//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package proc

import "golang.org/x/sys/unix"

// retry calls f again as long as a signal interrupts it.
func retry(f func() (int, error)) (int, error) {
	for {
		n, err := f()
		if err != unix.EINTR {
			return n, err
		}
	}
}
