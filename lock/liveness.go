package lock

import (
	"github.com/dirlock/dirlock/fsys"
	"github.com/dirlock/dirlock/proc"
)

// verdict says whether the owner of a level file is dead, and why: the truth
// table of docs/liveness.md, top to bottom. Evidence of life wins, and what is
// not known to be dead is treated as alive.
//
// The record is o, or torn if it is incomplete; witness is what the kernel said
// of the file that it was read from. The other evidence costs more, and is
// gathered when a row asks for it.
func (v *visit) verdict(o Owner, torn bool, witness fsys.Witness) (proc.State, string, error) {
	if witness == fsys.Held || witness == fsys.HeldWeakly {
		return proc.Alive, "it holds the kernel's lock on the file", nil
	}
	if torn {
		if v.local() {
			return proc.Dead, "its record is incomplete: the machine stopped before it was on the disk", nil
		}
		return proc.Unknown, "its record is incomplete, and other machines can reach the directory", nil
	}

	self, err := v.table.Self()
	if err != nil {
		return proc.Unknown, "", err
	}
	released := o.Witness && witness == fsys.Free && v.sameMount(o)
	bootsKnown := o.Boot != "" && self.Boot != ""

	switch sameBoot := bootsKnown && o.Boot == self.Boot; {
	case sameNamespace(o, self):
		state, why := v.table.Probe(o.Identity)
		switch {
		case state != proc.Unknown:
			return state, why, nil
		case released:
			return proc.Dead, why + ", and nobody holds the kernel's lock on the file", nil
		default:
			return proc.Alive, why, nil
		}
	case sameBoot && released:
		return proc.Dead, "it ran in another PID namespace, and nobody holds the kernel's lock on the file", nil
	case sameBoot && o.Witness:
		return proc.Unknown, "it runs in another PID namespace, and the kernel's lock on its file cannot be seen from here", nil
	case sameBoot:
		return proc.Unknown, "it runs in another PID namespace, and its file carries no lock of the kernel", nil
	case !o.Local || !v.local():
		return proc.Unknown, "it ran on another machine or before a restart, and other machines can reach the directory", nil
	case bootsKnown && (released || !o.Witness):
		return proc.Dead, "it ran before this machine was last started", nil
	case released:
		return proc.Dead, "nobody holds the kernel's lock on the file", nil
	default:
		return proc.Unknown, "nothing tells whether it ran before this machine was last started", nil
	}
}

// sameNamespace tells whether a PID means the same process to both. Two who do
// not know their namespaces may be in different ones.
func sameNamespace(o Owner, self proc.Identity) bool {
	return o.Boot != "" && o.Boot == self.Boot && o.Namespace != "" && o.Namespace == self.Namespace
}

// sameMount tells whether we would see the kernel's lock of an owner of this
// boot. A local file system is one to the kernel. What is mounted over a network
// or by way of user space can be mounted again for every container, and then its
// files are others to the kernel.
func (v *visit) sameMount(o Owner) bool {
	if !o.Local && o.Mount == "" {
		return false
	}
	loc, err := fsys.Locate(v.dir)
	return err == nil && (o.Local && loc.Local || o.Mount != "" && o.Mount == loc.Mount)
}

// local tells whether only this machine can reach the directory. Where nobody
// can tell, others can.
func (v *visit) local() bool {
	loc, err := fsys.Locate(v.dir)
	return loc.Local && err == nil
}
