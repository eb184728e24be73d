package lock

import (
	"errors"

	"github.com/dirlock/dirlock/proc"
)

// WithMachine gives this machine a name for which the caller vouches: no two
// kernels that reach the directory ever have the same name at the same time. A
// record of that name and of another boot then is of a process from before a
// restart of this machine, and its owner is dead. Without a name, that cannot be
// told on a network file system: the lock of a machine that crashed stays held
// until a person breaks it, also for that machine itself.
//
// The default is no name, because nothing else is good enough for one: host names
// and machine IDs are cloned together with disks, and a virtual machine, or a
// container with a boot ID of its own, may be started twice. If two machines that
// run at the same time have one name, each takes the other's owners for dead. A
// name has 1 to 64 printable ASCII characters and no spaces; the empty name is the
// default. All programs that use the directory should give it: it counts only if
// the dead owner had it, too.
func WithMachine(name string) Option {
	return func(o *options) {
		o.machine = name
		if !isMachine(name) && o.err == nil {
			o.err = errors.New("lock.WithMachine was given a name that is not 1 to 64 printable ASCII characters without spaces")
		}
	}
}

func isMachine(name string) bool {
	for _, c := range []byte(name) {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return len(name) <= 64
}

// restarted tells whether an owner ran on this machine before its last restart,
// according to the names that administrators have given to machines.
func (l *DirLock) restarted(o Owner, self proc.Identity) bool {
	return l.machine != "" && o.Machine == l.machine && o.Boot != "" && self.Boot != "" && o.Boot != self.Boot
}
