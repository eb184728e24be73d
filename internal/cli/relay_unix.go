//go:build unix

package cli

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// relay passes signals on to the command, unless the command has them already:
// to many programs a second SIGTERM or SIGINT means "at once, without cleaning
// up".
//
// A signal may be sent to dirlock alone (kill), to every process of its process
// group (a key like Ctrl-C, kill with a negative number, a shell's kill %1), to
// every process of its control group, one after the other (systemd), or to it
// alone and then to the group (timeout). The signal itself does not tell. So
// there is a decoy: a process that does nothing in dirlock's group, to which
// nobody sends a signal on purpose. dirlock holds a signal for a moment, because
// it may not have been sent to all of them yet, and asks the decoy. If the decoy
// got it, then so did the command.
type relay struct {
	targets    func() []int // process IDs: the command, or what it has left behind
	decoy      *decoy
	endedDecoy syscall.Signal // what has ended the decoy before this one
	held       []heldSignal   // in the order in which they came
	due        *time.Timer    // when the first of them was held for long enough
}

type heldSignal struct {
	syscall.Signal
	until time.Time
}

// hold is how long a signal is held: much longer than a program takes that sends
// it to several processes.
const hold = 100 * time.Millisecond

func newRelay() *relay {
	due := time.NewTimer(hold)
	due.Stop()
	return &relay{due: due}
}

// begin is called as soon as the command is started. What the decoy gets from now
// on, the command gets. Of what came before, it is not known: that is passed on. If
// the command got it too, then so early that it had no time to catch signals.
func (r *relay) begin() { r.decoy = newDecoy() }

// take takes a signal that dirlock has got.
func (r *relay) take(s os.Signal) {
	for _, h := range r.held {
		if h.Signal == s {
			return // they become one, as in the kernel
		}
	}
	r.held = append(r.held, heldSignal{s.(syscall.Signal), time.Now().Add(hold)})
	if len(r.held) == 1 {
		r.due.Reset(hold)
	}
}

// pass passes on the first signal that was held, unless the command has got it
// from where dirlock got it.
func (r *relay) pass() {
	s := r.held[0].Signal
	toGroup := r.sentToGroup(s)
	r.held = r.held[1:]
	if len(r.held) > 0 {
		r.due.Reset(time.Until(r.held[0].until))
	}
	for _, pid := range r.targets() {
		if toGroup && inOurGroup(pid) {
			continue
		}
		if err := unix.Kill(pid, s); errors.Is(err, unix.EPERM) {
			complain(fmt.Sprintf("cannot pass %s on to the command (process %d): it runs as another user", unix.SignalName(s), pid),
				"the lock stays held until it has ended; end it as that user")
		}
	}
}

// sentToGroup tells whether a signal was sent to others than dirlock, too.
func (r *relay) sentToGroup(s syscall.Signal) bool {
	if r.decoy == nil {
		// A guess: INT and QUIT are the terminal's while dirlock is in the
		// foreground.
		foreground, _ := inForeground()
		return (s == syscall.SIGINT || s == syscall.SIGQUIT) && foreground
	}
	got, ok := r.decoy.got(s)
	if !ok {
		r.endedDecoy = r.decoy.endedBy()
		r.decoy = newDecoy()
	}
	if s == r.endedDecoy {
		r.endedDecoy, got = 0, true
	}
	return got
}

// inOurGroup tells whether a process is in dirlock's process group.
func inOurGroup(pid int) bool {
	ours, err := unix.Getpgid(0)
	theirs, err2 := unix.Getpgid(pid)
	return err == nil && err2 == nil && ours == theirs
}

// decoyPID returns the process ID of the decoy, or 0.
func (r *relay) decoyPID() int {
	if r.decoy == nil {
		return 0
	}
	return r.decoy.processID()
}

// stop ends the decoy. There need be none, nor r.
func (r *relay) stop() {
	if r != nil && r.decoy != nil {
		r.decoy.stop()
	}
}
