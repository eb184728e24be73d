package cli

import (
	"os"
	"os/signal"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// brood is the processes that a command has started. When those that started
// them have ended, they become dirlock's children, if it is a subreaper
// (PR_SET_CHILD_SUBREAPER(2const)); or if it is process 1, which has to reap them
// in any case.
type brood struct {
	changed chan os.Signal // a child has ended
}

func newBrood(adopt bool) *brood {
	if adopt {
		_ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
	}
	return &brood{changed: make(chan os.Signal, 1)}
}

func (*brood) started() {}

// watch is called when changed is to tell of children that end from now on.
func (b *brood) watch() { signal.Notify(b.changed, syscall.SIGCHLD) }

func (b *brood) stop() { signal.Stop(b.changed) }

// reap reaps the children that have ended, but for some, and returns the others.
func (*brood) reap(except ...int) (left []int) {
	for _, pid := range childrenOfProcess(os.Getpid()) {
		if slices.Contains(except, pid) {
			continue
		}
		if got, err := unix.Wait4(pid, nil, unix.WNOHANG, nil); err == nil && got == 0 {
			left = append(left, pid)
		}
	}
	return left
}

// left returns what is left of the brood.
func (b *brood) left(decoy int) (pids []int, any bool) {
	pids = b.reap(decoy)
	return pids, len(pids) > 0
}
