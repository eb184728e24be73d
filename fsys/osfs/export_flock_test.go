//go:build darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd

package osfs

import "github.com/dirlock/dirlock/fsys"

// The ways of Create, for tests that take them where a better one is there.
const (
	ByUnnamed = byUnnamed
	ByLink    = byLink
	ByRename  = byRename
	ByGuard   = byGuard
)

// GuardName is the name of the file by which creators take turns.
const GuardName = guardName

func remembered(d fsys.Dir) *memory { return &d.(*named).memory }

// SetWay makes d believe that the file system lacks every better way.
func SetWay(d fsys.Dir, way uint32) {
	m := remembered(d)
	m.assumed.way = way
	m.last.Store(nil)
}

// Way returns the way that was found.
func Way(d fsys.Dir) uint32 { return remembered(d).last.Load().way.Load() }

// SetLocal makes d believe that it is local, or not.
func SetLocal(d fsys.Dir, local bool) { remembered(d).assumed.local = &local }

// SetWitnesses makes d believe that its files carry such a witness.
func SetWitnesses(d fsys.Dir, kind fsys.Witness) {
	m := remembered(d)
	m.assumed.witness = uint32(kind) + 1
	m.last.Store(nil)
}
