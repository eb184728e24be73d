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

// SetWay makes d believe that the file system lacks every better way.
func SetWay(d fsys.Dir, way uint32) { d.(*osDir).way.Store(way) }

// Way returns the way that was found.
func Way(d fsys.Dir) uint32 { return d.(*osDir).way.Load() }

// SetLocal makes d believe that it is local, or not.
func SetLocal(d fsys.Dir, local bool) { d.(*osDir).local.set(local) }

// SetWitnesses makes d believe that its files can be locked, or not.
func SetWitnesses(d fsys.Dir, yes bool) { d.(*osDir).witness.set(yes) }
