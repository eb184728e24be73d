// Package reason holds the reasons of verdicts, in the words that people see.
// The table of the operating system and the fake one share them.
package reason

// Of the dead.
const (
	Impossible = "no process can have this PID"
	None       = "no process has this PID"
	Reused     = "its PID belongs to another process now"
	Zombie     = "it has ended, and its parent has not reaped it"
	Ended      = "it has ended"
)

// Of the living.
const (
	Runs   = "it is running"
	Thread = "its first thread has ended, but others run"
)

// Of processes that may be dead or alive.
const (
	NoStart   = "a process has this PID, but the start time of the original one is not known"
	Hidden    = "a process has this PID, but its start time cannot be read"
	Clock     = "a process has this PID, but its start time was taken by another clock"
	Invisible = "no process with this PID is visible, but processes may be hidden"
	NoTable   = "this system does not tell which processes exist"
)
