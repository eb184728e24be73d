package lock

import (
	"sync"

	"github.com/dirlock/dirlock/fsys"
	"github.com/dirlock/dirlock/proc"
)

// verdict is what is known of the owner of a level file.
type verdict struct {
	state proc.State
	why   string
	row   int // of the truth table in docs/liveness.md
}

func dead(row int, why string) verdict    { return verdict{proc.Dead, why, row} }
func alive(row int, why string) verdict   { return verdict{proc.Alive, why, row} }
func unknown(row int, why string) verdict { return verdict{proc.Unknown, why, row} }

// heldByKernel tells whether the kernel vouches for the owner: it holds a lock on
// the file, of the kind that it promised.
func (r look) heldByKernel() bool {
	return r.Witness == fsys.Held || r.Witness == fsys.HeldWeakly && !r.owner.WriteLock
}

var vouchedFor = alive(1, "it holds the kernel's lock on the file")

// judge decides whether the owner of a level file is dead: it is the truth table
// of docs/liveness.md, top to bottom. Evidence of life wins, and what is not
// known to be dead is treated as alive. The facts that a "dead" rests on are
// asked for here, each time.
func (v *visit) judge(r look) (verdict, error) {
	o, witness := r.owner, r.Witness
	switch {
	case r.heldByKernel():
		return vouchedFor, nil
	case r.Witness == fsys.Leased:
		return alive(rowLeased, "its lease has not ended"), nil
	case r.Witness == fsys.Ended && !r.torn:
		return dead(rowEnded, "its file hangs on no lease"), nil
	}
	loc, err := fsys.Locate(v.dir)
	if err != nil {
		loc = fsys.Location{} // nothing is known
	}
	if r.torn {
		return judgeTorn(r, loc), nil
	}
	self, err := v.table.Self()
	if err != nil {
		return verdict{}, err
	}

	local := o.Local && loc.Local
	letGo := o.Witness && witness != fsys.NoWitness && sees(o, self, loc) &&
		(witness == fsys.Free || v.seesWriteLocks())
	switch {
	case witness == fsys.HeldWeakly && !letGo:
		return alive(1, "a process holds a lock of the kernel on the file"), nil
	case letGo && local && witness == fsys.HeldWeakly:
		return dead(5, "it has let go of the kernel's lock on the file; another process has one of a kind that any reader can take"), nil
	case letGo && local:
		return dead(5, "it does not hold the kernel's lock on the file"), nil
	case sameNamespace(o, self):
		return v.judgeByProcess(o, self, letGo), nil
	case sameBoot(o, self) && letGo:
		return dead(11, "it ran in another PID namespace, and nobody holds the kernel's lock on the file"), nil
	case v.restarted(o, self):
		return dead(21, "it ran on this machine, by the name that the administrator has given it, before the last restart"), nil
	case !loc.Local && v.noted(r):
		return notedDead, nil
	case sameBoot(o, self) && o.Witness:
		return unknown(12, "it runs in another PID namespace, and the kernel's lock on its file cannot be seen from here"), nil
	case sameBoot(o, self):
		return unknown(12, "it runs in another PID namespace, and its file carries no lock of the kernel"), nil
	case !local:
		return unknown(13, "it ran on another machine or before a restart, and other machines can reach the directory"), nil
	case o.Witness:
		return unknown(14, "it ran before a restart or in a container, and the kernel's lock on its file cannot be seen from here"), nil
	default:
		return unknown(14, "it ran before a restart or in a container, and its file carries no lock of the kernel"), nil
	}
}

// judgeTorn judges the owner of an incomplete record, which names nobody.
func judgeTorn(r look, loc fsys.Location) verdict {
	switch {
	case !loc.Local:
		return unknown(3, "its record is incomplete, and other machines can reach the directory")
	case r.ID == fsys.ID{}:
		return unknown(4, "its record is incomplete, and the file system cannot tell the file from another one like it")
	}
	return dead(2, "its record is incomplete: the machine stopped before it was on the disk")
}

// judgeByProcess judges an owner of our PID namespace.
func (v *visit) judgeByProcess(o Owner, self proc.Identity, letGo bool) verdict {
	if o.PID == self.PID && !v.holdsID(o.ID) {
		return dead(6, "it has the PID of this process, which does not hold this lock")
	}
	state, why := v.table.Probe(o.Identity)
	switch {
	case state == proc.Dead:
		return dead(7, why)
	case state == proc.Alive:
		return alive(8, why)
	case letGo:
		return dead(9, why+", and nobody holds the kernel's lock on the file")
	}
	return alive(10, why)
}

func sameBoot(o Owner, self proc.Identity) bool { return o.Boot != "" && o.Boot == self.Boot }

// sameNamespace tells whether a PID means the same process to both. Two that do
// not know their namespaces may be in different ones.
func sameNamespace(o Owner, self proc.Identity) bool {
	return sameBoot(o, self) && o.Namespace != "" && o.Namespace == self.Namespace
}

// sees tells whether an owner's witness would be visible to us, if it still had
// one on this file.
func sees(o Owner, self proc.Identity, loc fsys.Location) bool {
	// A file of a Direct mount is one file to the whole kernel. If the owner's
	// was on another Direct mount, this file is a copy.
	direct := o.Local && loc.Local && o.Direct && loc.Direct
	if sameBoot(o, self) {
		return direct || o.Mount != "" && o.Mount == loc.Mount
	}
	return direct || o.Local && loc.Local && o.Type != "" && o.Type == loc.Type
}

// seesWriteLocks tells whether a look at a file in this directory would tell a
// write lock from others.
func (v *visit) seesWriteLocks() bool {
	kind, err := fsys.Witnesses(v.dir)
	return err == nil && kind == fsys.Held
}

// heldIDs are the IDs of all level files of this process that are, or may become,
// visible: they prove that a record with another ID, and the PID of this process,
// is a copy, or was left by an earlier program in it.
var heldIDs struct {
	sync.Mutex
	m map[string]struct{}
}

func holdID(id string) {
	heldIDs.Lock()
	defer heldIDs.Unlock()
	if heldIDs.m == nil {
		heldIDs.m = make(map[string]struct{})
	}
	heldIDs.m[id] = struct{}{}
}

func letGoOfID(id string) {
	heldIDs.Lock()
	defer heldIDs.Unlock()
	delete(heldIDs.m, id)
}

func processHolds(id string) bool {
	heldIDs.Lock()
	defer heldIDs.Unlock()
	_, ok := heldIDs.m[id]
	return ok
}
