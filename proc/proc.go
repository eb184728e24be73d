// Package proc tells a directory lock which process it runs in, and whether
// another process is still alive.
//
// [OS] is the process table of the operating system. Package proctest has a
// fake one for tests, in which processes are started, killed and their PIDs
// reused, and a suite of checks for any implementation of [Table].
package proc

// State is what is known about a process.
type State uint8

const (
	// Unknown means that the process may be alive or dead. Perhaps a process
	// has the PID and nothing tells whether it is the same one, or the system
	// cannot be asked.
	Unknown State = iota
	// Alive means that the process exists and is the one asked about.
	Alive
	// Dead means that the process has ended and none of its threads runs.
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

// Identity tells one process from all others that ever had its PID.
//
// All strings are opaque: compare them, and nothing else. They contain neither
// spaces nor control characters, except for Host and Command, which are meant
// for people. A string is empty if the system cannot tell.
type Identity struct {
	// PID is the process ID in the process's own PID namespace. It is greater
	// than zero.
	PID int
	// Unique is different for any two processes of one Boot, whatever their
	// PID, Start and Namespace. Few systems have such a number.
	Unique string
	// Start is the start time. It is different for two processes of the same
	// Boot, Namespace and PID, unless they started within one tick of the
	// system's clock (10 ms on Linux) and Unique has to tell them apart. It
	// does not change when the wall clock is set.
	Start string
	// Boot names the run of the kernel. It is different after every boot.
	Boot string
	// Namespace names the set of processes in which PID counts. A system with
	// one such set per boot has a name for it too: empty means not known.
	Namespace string
	// Host is the name of the machine, for people.
	Host string
	// Command is the name of the program, for people.
	Command string
}

// Table is a process table. Its methods do not block, and are safe for
// concurrent use.
type Table interface {
	// Self identifies the calling process.
	Self() (Identity, error)

	// Probe reports the state of a process, with the reason in a few words
	// ("no process has this PID").
	//
	// The caller asks only about processes of its own Boot and Namespace:
	// Probe looks at PID, Unique and Start. If it can compare Unique, that
	// decides which process is meant. Otherwise Start does.
	//
	// Probe signals nobody, whatever the PID. An impossible PID (zero, negative
	// or too large) is Dead. Evidence of life wins: the answer is Dead only if
	// the process cannot be running.
	Probe(id Identity) (State, string)
}
