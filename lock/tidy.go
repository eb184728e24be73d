package lock

import (
	"errors"
	"io/fs"
	"strings"

	"github.com/dirlock/dirlock/fsys"
	"github.com/dirlock/dirlock/proc"
)

// namesSwept is how many names an Unlock looks through for temporary files of the
// dead if it did not come after a recovery. The directory may be large.
const namesSwept = 1000

// tidy removes what the dead have left beside the level files, as far as this file
// system leaves anything. Only a listing finds it, which can take long, and for
// which nobody waits now: the lock is released. After a recovery all is looked
// through. A process that dies while it creates its file leaves no level file,
// and so no recovery follows it: therefore the first Unlock of each handle looks
// as well, at some of the names.
func (l *DirLock) tidy(h *hold) error {
	if h.recovered {
		err := fsys.Sweep(h.dir)
		if h.owner.Type == "nfs" {
			err = errors.Join(err, l.sweepKept(h.dir))
		}
		if h.notes {
			err = errors.Join(err, sweepNotes(h.dir))
		}
		return err
	}
	if l.tidied {
		return nil
	}
	l.tidied = true
	return fsys.SweepPart(h.dir, namesSwept)
}

// keptPrefix begins the names by which the clients of NFS keep a file that is
// removed while it is open (nfs_sillyrename in fs/nfs/unlink.c of Linux). A
// machine that loses its power leaves it for good.
const keptPrefix = ".nfs"

// sweepKept removes level files that such a machine has left under that name. Only
// those that hold a record are ours. If its owner should be alive after all, it
// loses nothing: to its client the name is one more that leads to an open file,
// and is to be removed when that is closed.
func (l *DirLock) sweepKept(dir fsys.OpenDir) error {
	names, err := dir.List(keptPrefix)
	v := visit{DirLock: l, dir: dir}
	for _, name := range names {
		if !isKept(name) {
			continue
		}
		s, e := dir.Read(name)
		if e != nil {
			continue
		}
		r := look{Snapshot: s}
		if r.owner, e = parseRecord(s.Data); e != nil {
			continue
		}
		if r.verdict, e = v.judge(r); e == nil && r.state != proc.Alive {
			e = dir.Remove(name)
		}
		if !errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	return err
}

// isKept tells whether name is one that a client of NFS makes.
func isKept(name string) bool {
	digits, ok := strings.CutPrefix(name, keptPrefix)
	return ok && len(digits) >= 16 && strings.Trim(digits, "0123456789abcdef") == ""
}
