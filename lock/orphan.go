package lock

import (
	"github.com/dirlock/dirlock/fsys"
	"github.com/dirlock/dirlock/proc"
)

// workGoesOn tells whether the process of an owner has ended, but something that
// it has started still has the witness: see File. It makes no difference to the
// verdict, and so only those ask who show it to people.
func (v *visit) workGoesOn(o Owner, witness fsys.Witness) bool {
	if o.ID == "" || witness != fsys.Held && witness != fsys.HeldWeakly {
		return false
	}
	self, err := v.table.Self()
	if err != nil || !sameNamespace(o, self) {
		return false
	}
	state, _ := v.table.Probe(o.Identity)
	return state == proc.Dead
}

const reasonWorkGoesOn = "its process has ended, but its command still runs: that holds the kernel's lock on the file"
