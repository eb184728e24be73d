//go:build unix

package cli

import "syscall"

// writeStderr writes to the standard error. Where nobody reads it any more, that
// fails: os.File would end dirlock with SIGPIPE, and its command would go on alone.
func writeStderr(text string) {
	for b := []byte(text); len(b) > 0; {
		n, err := syscall.Write(2, b)
		if err != nil && err != syscall.EINTR {
			return
		}
		b = b[max(n, 0):]
	}
}
