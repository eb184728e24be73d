package proc

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/dirlock/dirlock/proc/internal/reason"
)

// OS returns the process table of the operating system. All calls return equal
// values.
//
// Self never fails; a field that the system cannot tell is empty. A process that
// exists but has neither Unique nor Start is Unknown rather than Alive.
//
// The table is a [Notifier]. On a system that does not report the end of a
// process, Notify fails with an error that matches [errors.ErrUnsupported].
func OS() Table { return system }

var system = newOSTable()

// osTable is the table of the operating system. Each system provides in files of
// its own, os_GOOS.go first:
//
//   - the type osState: what the table knows about the system;
//   - newOSTable: a table that has asked nothing yet;
//   - the constant maxPID: no process has a larger PID;
//   - the method identify: Unique, Start, Boot and Namespace of this process, as
//     far as they can be trusted, called once and before everything else;
//   - the method probe: [Table].Probe for a PID that is possible. Dead needs
//     evidence, and no permission is none;
//   - the method notify: [Notifier].Notify for a PID that is possible, also if
//     it belongs to another process by now.
type osTable struct {
	once sync.Once
	self Identity
	osState
}

var _ Notifier = (*osTable)(nil)

// Self identifies the calling process. It asks the system only once, and never
// fails.
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
		return Dead, reason.Impossible
	}
	_, _ = t.Self() // probe needs what identify finds out
	return t.probe(id)
}

// Notify reports the end of a process.
func (t *osTable) Notify(id Identity) (ended <-chan struct{}, stop func(), err error) {
	if impossible(id.PID) {
		return alreadyEnded()
	}
	_, _ = t.Self()
	return t.notify(id)
}

// impossible reports whether no process can have this PID, so that the system is
// not asked. To kill(2), zero and negative numbers mean groups of processes. On
// every Unix that Go supports, a PID is a positive pid_t of 32 bits; the kernels'
// own limits are lower. On Windows a PID is a DWORD and may use all 32 bits.
func impossible(pid int) bool {
	return pid <= 0 || int64(pid) > maxPID
}

// maxPID32 is the largest pid_t.
const maxPID32 = math.MaxInt32

// alreadyEnded is what Notify returns for a dead process.
func alreadyEnded() (<-chan struct{}, func(), error) {
	c := make(chan struct{}, 1)
	c <- struct{}{}
	return c, func() {}, nil
}

// token returns s if it may be a string of an [Identity], otherwise "".
func token(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return ""
	}
	return s
}
