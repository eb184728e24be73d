// Package proc is the process table as a directory lock sees it: who am I, and
// does that process still live?
//
// [OS] is the table of the operating system. [Fake] is one in which a test
// starts, kills and re-uses processes. Package proctest checks any table.
package proc

// State is what is known of a process.
type State uint8

const (
	// Unknown: it may live or not. A process with that PID may exist, but
	// nothing says whether it is the same one, or nobody could be asked.
	Unknown State = iota
	// Alive: the process exists, and is the one that was asked for.
	Alive
	// Dead: the process has ended, and none of its threads runs.
	Dead
)

// String returns "unknown", "alive" or "dead".
func (s State) String() string {
	switch s {
	case Alive:
		return "alive"
	case Dead:
		return "dead"
	}
	return "unknown"
}

// Identity says which process is meant, among all that ever had its PID. The
// strings are opaque, have neither spaces nor control characters (save Command
// and Host, which are shown to people only), and are empty if the system cannot
// tell.
type Identity struct {
	// PID is the process ID in its own PID namespace, greater than zero.
	PID int
	// Start is equal for two processes of one Boot, Namespace and PID only if
	// they are the same process. It does not drift with the clock.
	Start string
	// Boot names the run of the kernel: another boot, another value.
	Boot string
	// Namespace names the set of processes in which PID counts. A system that
	// has but one per boot gives it a name all the same: empty is not known.
	Namespace string
	// Host is the machine's name, for people.
	Host string
	// Command is the program's name, for people.
	Command string
}

// Table is a process table. A value is safe for concurrent use, and does not
// block.
type Table interface {
	// Self identifies the calling process.
	Self() (Identity, error)

	// Probe reports the state of a process, and the reason in a few words
	// ("no process has this PID"). It looks at PID and Start only: the caller
	// asks about processes of its own Boot and Namespace. It sends no signal
	// to anybody, whatever the PID is, and an impossible PID (zero, negative,
	// too large) is Dead. Evidence of life wins: the answer is Dead only if
	// the process cannot be running.
	Probe(id Identity) (State, string)
}
