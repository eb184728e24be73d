package lock

import (
	"fmt"
	"time"

	"github.com/dirlock/dirlock/proc"
)

// Owner is what a level file says about the process that made it.
type Owner struct {
	// ID is unique per acquisition: 32 hexadecimal digits.
	ID string
	// Identity is the process.
	proc.Identity
	// User is the name of its user, or "uid" and a number, for people.
	User string
	// Label says what the lock is held for, if the owner told: see [WithLabel].
	Label string
	// Since is when the file was made, by the clock of the owner's machine.
	// It is for people: no verdict depends on it.
	Since time.Time
	// Machine is the name that an administrator gave to the owner's machine: see
	// [WithMachine].
	Machine string
	// Witness says that the owner's kernel vouches for its life (see
	// [github.com/dirlock/dirlock/fsys.Witnesser]).
	Witness bool
	// WriteLock says that the witness is a lock that takes permission to write
	// the file ([github.com/dirlock/dirlock/fsys.Held]): one of a weaker kind,
	// which any reader can take, is not the owner's.
	WriteLock bool
	// Local says that the owner saw the directory on a file system of its own
	// machine (see [github.com/dirlock/dirlock/fsys.Localizer]). A file server
	// sees a directory that it exports as local; its clients do not.
	Local bool
	// Mount, Type and Direct say what the owner saw the directory on (see
	// [github.com/dirlock/dirlock/fsys.Location]): whether a reader would see
	// its witness depends on them.
	Mount  string
	Type   string
	Direct bool
}

// String describes the owner to a person: "backup (process 4242) on host-7", or,
// with a label, "backup (nightly, process 4242) on host-7".
func (o Owner) String() string {
	s := fmt.Sprintf("process %d", o.PID)
	if o.Label != "" {
		s = o.Label + ", " + s
	}
	if o.Command != "" {
		s = fmt.Sprintf("%s (%s)", o.Command, s)
	}
	if o.Host != "" {
		s += " on " + o.Host
	}
	return s
}
