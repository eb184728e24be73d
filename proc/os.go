package proc

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// OS returns the process table of the operating system. All calls return equal
// values. The table is a [Notifier]; where the system has no event for the end
// of a process, Notify fails with an error that matches errors.ErrUnsupported.
//
// A field of Self that the system cannot tell is empty, and Self never fails.
// Without a start time, a process that exists is Unknown rather than Alive.
func OS() Table { return system }

var system = newOSTable()

// osTable is the table of the operating system. What differs between systems
// is in the file of each: the type osState, and the methods identify, probe and
// notify.
type osTable struct {
	once sync.Once
	self Identity
	osState
}

var _ Notifier = (*osTable)(nil)

// Self identifies the calling process. It asks the system once, and never fails.
func (t *osTable) Self() (Identity, error) {
	t.once.Do(func() {
		t.self = t.identify()
		t.self.PID = os.Getpid()
		t.self.Host, _ = os.Hostname()
		if len(os.Args) > 0 {
			t.self.Command = filepath.Base(os.Args[0])
		}
	})
	return t.self, nil
}

// Probe reports the state of a process.
func (t *osTable) Probe(id Identity) (State, string) {
	if impossible(id.PID) {
		return Dead, reasonImpossible
	}
	t.Self() // identify fills what probe compares with
	return t.probe(id)
}

// Notify tells when to look at a process again.
func (t *osTable) Notify(id Identity) (ended <-chan struct{}, stop func(), err error) {
	if impossible(id.PID) {
		return alreadyEnded()
	}
	t.Self()
	return t.notify(id)
}

// impossible says that no process has this PID on any system, so that nobody
// needs to ask for it. Zero and negative numbers mean whole process groups to
// kill(2). A process ID is a positive pid_t, which has 32 bits on every Unix
// that Go knows; the kernels' own limits are lower, and they may be asked.
// A Windows process ID is a DWORD of which all 32 bits may be used.
func impossible(pid int) bool {
	return pid <= 0 || int64(pid) > maxPID
}

// maxPID32 is the largest pid_t.
const maxPID32 = math.MaxInt32

// The reasons of a verdict, in the words that people see.
const (
	reasonImpossible = "no process can have this PID"
	reasonNone       = "no process has this PID"
	reasonReused     = "its PID belongs to another process now"
	reasonZombie     = "it has ended, and its parent has not reaped it"
	reasonEnded      = "it has ended"
	reasonRuns       = "it is running"
	reasonThread     = "its first thread has ended, but others run"
	reasonNoStart    = "a process has this PID, but the start time of the one asked for is not known"
	reasonHidden     = "a process has this PID, but its start time cannot be read"
	reasonClock      = "a process has this PID, but its start time was taken by another clock"
)

// alreadyEnded is the answer of Notify for a process that is dead.
func alreadyEnded() (<-chan struct{}, func(), error) {
	c := make(chan struct{}, 1)
	c <- struct{}{}
	return c, func() {}, nil
}

// token returns s if it can stand in an [Identity], and "" if not.
func token(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return ""
	}
	return s
}
