//go:build !unix

package cli

import (
	"errors"
	"os"
	"os/exec"

	"github.com/dirlock/dirlock/lock"
)

// bequeath does nothing: the system has no descriptor that would keep the lock.
func bequeath(*lock.DirLock, *exec.Cmd) (func(), error) { return func() {}, nil }

// become fails: no program can take the place of another one.
func become(*lock.DirLock, string, []string) error {
	return exitError{exitUnsupported, "-F: " + errors.ErrUnsupported.Error(), "run without it"}
}

func terminate(p *os.Process) error { return p.Kill() }

func wasKilled(*os.ProcessState) bool { return false }

// brood is what a command leaves behind. Nothing is known of it here.
type brood struct{ changed chan os.Signal }

func newBrood(bool) *brood            { return &brood{} }
func (*brood) started()               {}
func (*brood) watch()                 {}
func (*brood) stop()                  {}
func (*brood) reap(...int)            {}
func (*brood) left(int) ([]int, bool) { return nil, false }
