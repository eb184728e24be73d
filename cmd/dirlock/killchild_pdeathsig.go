//go:build linux || freebsd

package main

import (
	"os/exec"
	"runtime"
	"syscall"
)

// killWithParent makes the system kill the child when dirlock dies.
//
// Linux takes the death of the thread that started the child for that of the
// parent (PR_SET_PDEATHSIG(2const)), and Go ends threads at will. So the calling
// goroutine stays on its thread from now on: it has to start the child, and to
// live as long as dirlock does.
func killWithParent(cmd *exec.Cmd) error {
	runtime.LockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return nil
}
