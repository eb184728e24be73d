//go:build darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd

package fsys

// The ways of Create, for tests that take them where a better one is there.
const (
	ByUnnamed = byUnnamed
	ByLink    = byLink
	ByRename  = byRename
	ByGuard   = byGuard
)

// SetWay makes d believe that the file system lacks every better way.
func SetWay(d Dir, way uint32) { d.(*osDir).way.Store(way) }

// Way returns the way that was found.
func Way(d Dir) uint32 { return d.(*osDir).way.Load() }

// SetLocal makes d believe that it is local, or not.
func SetLocal(d Dir, local bool) { d.(*osDir).local.set(local) }

// SetWitnesses makes d believe that its files can be locked, or not.
func SetWitnesses(d Dir, yes bool) { d.(*osDir).witness.set(yes) }
