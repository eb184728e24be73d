package lock

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/dirlock/dirlock/fsys"
	"github.com/dirlock/dirlock/fsys/osfs"
	"github.com/dirlock/dirlock/proc"
)

// This file is the protocol of docs/shared.md, with its step numbers. L0 is a file,
// with one owner, or a directory with a file for every reader. One name is one
// thing, and a directory that is not empty cannot be removed: that decides who may
// have the lock.

// readersName is the directory of the readers. Their files are named by their
// owner IDs, so that no name is ever used again: anybody may remove the file of a
// dead reader, without a second look.
var readersName = levelName(0)

// claimsName is the directory of writers that wait for readers. A claim keeps new
// readers out. It is advice: nothing that must hold depends on it.
const claimsName = levelPrefix + "W"

// acquireShared is TryRLock.
func (v *visit) acquireShared(ctx context.Context) (*hold, look, error) {
	for n := 0; ; n++ {
		h, blocker, again, err := v.attemptShared(ctx)
		// 4. Starting again is bounded.
		if !again || err != nil || n+1 == v.maxAttempts || v.climbing(maxRetrying) {
			if h == nil && err == nil {
				v.noteDeaths(blocker)
			}
			return h, blocker, err
		}
		if err := v.pause(ctx, v.jitter(retryPause<<n), nil, nil); err != nil {
			return nil, blocker, err
		}
	}
}

// attemptShared is TryRLock, once through.
func (v *visit) attemptShared(ctx context.Context) (h *hold, blocker look, again bool, err error) {
	// 1. A writer that waits goes first.
	if !v.within {
		claim, err := v.claimed()
		if err != nil || claim.in != "" {
			return nil, claim, false, err
		}
	}
	// 2. Look at L0.
	sub, err := v.openReaders()
	switch {
	case errors.Is(err, fsys.ErrNotDirectory):
		return v.besideOwner(ctx)
	case err != nil:
		return nil, look{}, false, err
	case sub == nil:
		return nil, look{gone: true}, true, nil
	}
	// 3. Join the readers.
	h, err = v.join(sub)
	if err == nil {
		return h, look{}, false, nil
	}
	_ = sub.Close()
	// Nothing of ours stays. A directory in which nobody may make files is one
	// whose maker has died before it had its permissions.
	removed := fsys.RemoveDir(v.dir, readersName) == nil
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fsys.ErrBusy):
		err = nil // whoever removed the directory was faster
	case errors.Is(err, fs.ErrPermission) && removed:
		err = nil
	}
	return nil, look{gone: true}, err == nil, err
}

// openReaders opens the directory of the readers, and makes it if there is no L0.
// It returns nil if somebody else has removed it at once.
func (v *visit) openReaders() (fsys.Subdir, error) {
	sub, err := fsys.OpenSubdir(v.dir, readersName)
	if !errors.Is(err, fs.ErrNotExist) {
		return sub, err
	}
	if err := fsys.MakeDir(v.dir, readersName); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	sub, err = fsys.OpenSubdir(v.dir, readersName)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil && !errors.Is(err, fsys.ErrNotDirectory):
		_ = fsys.RemoveDir(v.dir, readersName)
	}
	return sub, err
}

// besideOwner is step 2 if L0 is a file. If its owner is dead, the whole recovery
// of an owner is needed. A reader that removed a dead L0 by itself could remove
// that of the next owner.
func (v *visit) besideOwner(ctx context.Context) (_ *hold, blocker look, again bool, err error) {
	m, err := v.look(0)
	if err != nil || m.gone || m.shared {
		return nil, look{gone: true}, true, err
	}
	if m.state != proc.Dead {
		return nil, m, false, nil
	}
	h, blocker, _, err := v.attempt(ctx, false)
	if err != nil || h == nil {
		return nil, blocker, true, err
	}
	v.recovered, v.notes = v.recovered || h.recovered, v.notes || h.notes
	v.climbed = time.Time{} // that climb was not in vain
	return nil, look{gone: true}, true, h.withdraw(0)
}

// join makes our file in the directory of the readers.
func (v *visit) join(sub fsys.Subdir) (*hold, error) {
	h, err := v.createIn(sub)
	if err == nil {
		h.recovered, h.notes = v.recovered, v.notes
	}
	return h, err
}

// createIn makes a file of ours, named by its owner ID.
func (v *visit) createIn(sub fsys.Subdir) (*hold, error) {
	h, err := v.make(func(id string, data []byte) (fsys.File, error) { return sub.Create(id, data) })
	if err == nil {
		h.sub = sub
	}
	return h, err
}

// vacate is step 5 of TryLock: L0 is a directory. If no reader is in it that may be
// alive, the directory goes, and L0 is created.
func (v *visit) vacate() (h *hold, blocker look, again bool, err error) {
	sub, err := fsys.OpenSubdir(v.dir, readersName)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fsys.ErrNotDirectory) {
		return nil, look{gone: true}, true, nil
	}
	if err != nil {
		return nil, look{}, false, err
	}
	defer sub.Close()
	reader, err := v.clear(sub, readersName)
	if err != nil || reader.in != "" {
		return nil, reader, false, err
	}
	err = fsys.RemoveDir(v.dir, readersName)
	switch {
	case errors.Is(err, fsys.ErrNotEmpty):
		return nil, look{gone: true}, true, v.foreignIn(sub)
	case errors.Is(err, fsys.ErrNotDirectory):
		return nil, look{gone: true}, true, nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, look{}, false, err
	}
	h, err = v.create(0)
	if taken(err) {
		return nil, look{gone: true}, true, nil
	}
	return h, look{}, false, err
}

// clear removes the files of the dead from a directory, and returns that of an
// owner who is not known to be dead, if there is one. If there is none, but a file
// that nobody can judge, it is an error that names it.
func (v *visit) clear(sub fsys.Subdir, in string) (found look, err error) {
	names, err := sub.List("")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return look{}, err
	}
	var unrecognized error
	for _, name := range names {
		if !isID(name) {
			v.sweepIn(sub, name)
			continue
		}
		r, err := v.lookIn(sub, in, name)
		var record *RecordError
		switch {
		case errors.As(err, &record):
			unrecognized = err
		case err != nil:
			return look{}, err
		case r.gone:
		case r.state != proc.Dead:
			return r, nil
		default:
			if err := sub.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return look{}, err
			}
		}
	}
	return look{}, unrecognized
}

// leftovers begin the names of files that a file system makes of one that is
// removed while somebody has it open: NFS and FUSE.
var leftovers = []string{".nfs", ".fuse_hidden"}

// sweepIn removes a file that is not a reader's if it is one that file systems
// leave, as far as that goes.
func (v *visit) sweepIn(sub fsys.Subdir, name string) {
	if strings.HasPrefix(name, osfs.TempPrefix) {
		_ = fsys.Sweep(sub)
		return
	}
	for _, prefix := range leftovers {
		if strings.HasPrefix(name, prefix) {
			_ = sub.Remove(name)
		}
	}
}

// foreignIn returns an error that names a file that is no reader's, if there is one.
func (v *visit) foreignIn(sub fsys.Subdir) error {
	names, err := sub.List("")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, name := range names {
		if isForeign(name) {
			return &RecordError{Path: v.pathIn(readersName, name), Err: ErrNotRecord}
		}
	}
	return err
}

// isForeign tells whether a name in the directory of the readers is that of a file
// that nothing of ours makes.
func isForeign(name string) bool {
	if isID(name) || strings.HasPrefix(name, osfs.TempPrefix) {
		return false
	}
	for _, prefix := range leftovers {
		if strings.HasPrefix(name, prefix) {
			return false
		}
	}
	return true
}

// lookIn reads and judges a file in a directory of ours.
func (v *visit) lookIn(sub fsys.Subdir, in, name string) (look, error) {
	s, err := sub.Read(name)
	return v.judged(look{Snapshot: s, in: in, name: name}, err)
}

// pathIn returns the path of a file in a directory of ours, for messages.
func (l *DirLock) pathIn(in, name string) string {
	return filepath.Join(l.path, namePrefix(l.name)+in, name)
}

// pathOf returns the path of a file that was looked at.
func (l *DirLock) pathOf(r look) string {
	if r.in != "" {
		return l.pathIn(r.in, r.name)
	}
	return l.levelPath(r.level)
}

// place tells where what we hold is.
func (h *hold) place() (fsys.Place, error) {
	if h.sub == nil {
		return fsys.PlaceOf(h.file, levelName(0))
	}
	named, err := h.sub.Named()
	if err != nil || !named {
		return fsys.Gone, err
	}
	return fsys.PlaceOf(h.file, h.owner.ID)
}

// unlockShared removes our file as unlock does. Then it lets go of the file, and
// removes the directory of the readers if nobody else is in it. The locked directory
// stays open.
func (h *hold) unlockShared() (lost, err error) {
	place, err := h.place()
	found := false
	if err == nil && (place == fsys.Here || place == fsys.Moved) {
		found, err = h.removeOurs(h.sub, h.owner.ID)
	}
	if err != nil {
		return nil, err
	}
	h.letGo()
	_ = h.sub.Close()
	if found {
		_ = fsys.RemoveDir(h.dir, readersName)
	}
	return lossUnless(found, place), nil
}

// watch watches what we hold.
func (h *hold) watch() (changed <-chan struct{}, stop func(), err error) {
	if h.sub != nil {
		return fsys.Watch(h.sub, h.owner.ID)
	}
	return fsys.Watch(h.dir, levelName(0))
}

// watchFile watches a file that was looked at.
func (v *visit) watchFile(b look) (changed <-chan struct{}, stop func(), err error) {
	if b.in == "" {
		return fsys.Watch(v.dir, levelName(b.level))
	}
	sub, err := fsys.OpenSubdir(v.dir, b.in)
	if err != nil {
		return nil, nil, err
	}
	defer sub.Close()
	return fsys.Watch(sub, b.name)
}
