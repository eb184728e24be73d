package lock

import (
	"context"
	"errors"
	"io/fs"
	"slices"

	"github.com/dirlock/dirlock/fsys"
	"github.com/dirlock/dirlock/proc"
)

// sharedState is State where L0 is a directory with something in it.
func (s Status) sharedState() (State, Level) {
	for _, r := range s.Readers {
		if r.Err == nil && r.State != proc.Dead {
			return Shared, r
		}
	}
	for _, r := range s.Readers {
		if r.Err != nil {
			return Unreadable, r
		}
	}
	return Stale, s.Readers[0]
}

// ForReading is [Status.State] for a process that wants the lock for reading: what
// TryRLock would find, be it Free, Held, Stale or Unreadable. If it is held, the
// Level is that of a writer who has the lock, who is taking it over, or who waits
// for the readers to leave.
func (s Status) ForReading() (State, Level) {
	for _, w := range s.Waiting {
		if w.Err == nil && w.State != proc.Dead {
			return Held, w
		}
	}
	if len(s.Readers) > 0 {
		return Free, Level{}
	}
	return s.State()
}

// listed returns what is in a directory of ours, for Status. That there is no such
// directory, or that it cannot be looked into by a backend, says that there is
// nothing in it.
func (v *visit) listed(in string) ([]Level, error) {
	sub, err := fsys.OpenSubdir(v.dir, in)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fsys.ErrNotDirectory) || errors.Is(err, errors.ErrUnsupported) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer sub.Close()
	names, err := sub.List("")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var levels []Level
	for _, name := range names {
		switch {
		case isID(name):
			r, err := v.lookIn(sub, in, name)
			if !r.gone {
				levels = append(levels, v.level(r, err))
			}
		case isForeign(name):
			r := look{in: in, name: name}
			levels = append(levels, v.level(r, v.recordError(r, ErrNotRecord)))
		}
	}
	return levels, nil
}

// breakShared removes the files of readers, and of writers that wait, whose IDs are
// given, and returns those IDs that it has not met.
func (v *visit) breakShared(ids []string) ([]string, error) {
	for _, in := range []string{readersName, claimsName} {
		sub, err := fsys.OpenSubdir(v.dir, in)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fsys.ErrNotDirectory) || errors.Is(err, errors.ErrUnsupported) {
			continue
		}
		if err != nil {
			return ids, err
		}
		ids, err = v.breakIn(sub, in, ids)
		_ = sub.Close()
		_ = fsys.RemoveDir(v.dir, in)
		if err != nil {
			return ids, err
		}
	}
	return ids, nil
}

// breakIn removes those files from one directory. No other file ever has the name
// of one of them.
func (v *visit) breakIn(sub fsys.Subdir, in string, ids []string) (left []string, err error) {
	for _, id := range ids {
		r, err := v.lookIn(sub, in, id)
		if err == nil && !r.gone && r.state == proc.Dead {
			err = sub.Remove(id)
		}
		switch {
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return ids, err
		case r.gone || r.state != proc.Dead:
			left = append(left, id)
		}
	}
	return left, nil
}

// breakReaders removes readers and waiting writers that Break names. It returns the IDs
// that are left: those of level files.
func (l *DirLock) breakReaders(ids []string) (left []string, err error) {
	v, err := l.enter()
	if err != nil {
		return ids, err
	}
	defer v.leave()
	left, err = v.breakShared(slices.Clone(ids))
	return left, err
}

// RWaitFree is [DirLock.WaitFree] for a process that wants the lock for reading: it
// waits until no writer holds it, or waits for the readers to leave.
func (l *DirLock) RWaitFree(ctx context.Context) (Status, error) {
	return l.waitUntil(ctx, func(s Status) (Level, bool) {
		state, level := s.ForReading()
		return level, state != Held
	})
}
