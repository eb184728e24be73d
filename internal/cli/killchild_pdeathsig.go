//go:build linux || freebsd

package cli

import (
	"runtime"
	"syscall"
)

// killWithParent returns what makes the system kill a child when dirlock dies.
//
// Linux takes the death of the thread that started the child for that of the
// parent (PR_SET_PDEATHSIG(2const)), and Go does not say how long a thread lives.
// So the calling goroutine stays on its thread from now on: it has to start the
// child, and to live as long as dirlock does.
func killWithParent() (*syscall.SysProcAttr, error) {
	runtime.LockOSThread()
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}, nil
}
