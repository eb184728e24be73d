package lock

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dirlock/dirlock/fsys"
	"github.com/dirlock/dirlock/proc"
)

// This file is the protocol of docs/protocol.md, step by step. It is all that
// decides who owns the directory.

// One TryLock makes at most maxAttempts, because somebody else was recovering
// the directory at the same time. Between them it pauses, for retryPause at
// first and then twice as long each time: 25 ms in all.
const (
	maxAttempts = 8
	retryPause  = 200 * time.Microsecond
)

// hold is a level file of ours: made by this handle, and not yet removed by it.
type hold struct {
	file  fsys.File
	owner Owner
}

// look is one look at a level file.
type look struct {
	fsys.Snapshot
	level int
	gone  bool       // there is no such file
	owner Owner      // unless gone or torn
	torn  bool       // the record is incomplete
	state proc.State // of the owner
	why   string     // reason for state
}

// acquire runs the protocol until it owns the directory or finds somebody in
// the way. It returns our L0, or else what was in the way. If free is true, the
// caller has reason to think that there is no L0.
func (l *DirLock) acquire(ctx context.Context, free bool, j judge) (*hold, look, error) {
	for n := 0; ; n++ {
		h, blocker, again, err := l.attempt(free && n == 0, j)
		if !again || err != nil || n+1 == l.maxAttempts {
			return h, blocker, err
		}
		if err := l.pause(ctx, l.jitter(retryPause<<n), nil, nil); err != nil {
			return nil, blocker, err
		}
	}
}

// attempt is TryLock, once through. It returns our L0; or what was in the way,
// and whether to start again at 1 because that was not an owner of L0.
func (l *DirLock) attempt(free bool, j judge) (h *hold, blocker look, again bool, err error) {
	// 1. Create L0. Looking first makes the common case of a held lock cost one
	// small read and no file. Who thinks that it is free need not look; but only
	// a look tells a lock that is held from a file that cannot be made.
	if free {
		if h, err := l.create(0); err == nil {
			return h, look{}, false, nil
		}
	}
	m, err := l.look(0, j)
	if err != nil {
		return nil, m, false, err
	}
	if m.gone {
		h, err := l.create(0)
		if !taken(err) {
			return h, m, false, err
		}
		// 2. It exists: read it. Gone meanwhile: it was held a moment ago.
		m, err = l.look(0, j)
		if err != nil || m.gone {
			return nil, m, false, err
		}
	}
	if m.state != proc.Dead {
		return nil, m, false, nil
	}

	// 3. The owner is dead; whoever gets the first level that is not stale, and
	// then finds L0 unchanged, may replace it.
	for i := 1; ; i++ {
		h, err := l.create(i)
		if taken(err) {
			r, stale, err := l.stale(i, j)
			if err != nil || !stale {
				return nil, r, true, err
			}
			continue
		}
		if err != nil {
			return nil, m, false, err
		}
		unchanged, err := l.still(m)
		if err != nil || !unchanged {
			return nil, m, true, errors.Join(err, l.withdraw(h, i))
		}
		// Li becomes L0: the replacement and the removal of the topmost level
		// are one step.
		err = l.dir.Replace(levelName(i), levelName(0))
		if errors.Is(err, errors.ErrUnsupported) {
			h, err = l.succeed(h, i)
		} else if err != nil {
			err = errors.Join(err, l.withdraw(h, i, 0))
		}
		if err != nil || h == nil {
			return nil, m, err == nil, err
		}
		l.recovered(h, i, m)
		l.sweep(j)
		return h, m, false, nil
	}
}

// succeed is the replacement of L0 where the file system has none: L0 is
// removed, and created anew. In between the name is free, and whoever creates it
// owns the directory: then succeed returns nil. Li, which is h, keeps everybody
// else from doing the same until our own L0 is there.
func (l *DirLock) succeed(h *hold, i int) (*hold, error) {
	err := l.dir.Remove(levelName(0))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, errors.Join(err, l.withdraw(h, i))
	}
	owned, err := l.create(0)
	if taken(err) {
		err = nil
	}
	if e := l.withdraw(h, i); e != nil {
		err = errors.Join(err, e)
		if owned != nil {
			err = errors.Join(err, l.withdraw(owned, 0))
			owned = nil
		}
	}
	return owned, err
}

// stale looks at a level that exists, and tells whether its owner is dead and
// it is still there. The answer "dead" is about the past: the owner may have
// removed the file and died before we asked. So the file is read again after
// the death is known; a dead owner removes nothing.
func (l *DirLock) stale(level int, j judge) (r look, stale bool, err error) {
	r, err = l.look(level, j)
	if err != nil || r.gone || r.state != proc.Dead {
		return r, false, err
	}
	stale, err = l.still(r)
	return r, stale, err
}

// still tells whether a level file is the one that was looked at before.
func (l *DirLock) still(before look) (bool, error) {
	now, err := l.dir.Read(levelName(before.level))
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fsys.ErrNotRegular):
		return false, nil
	case err != nil:
		return false, err
	case before.torn && (before.ID != now.ID || now.ID == fsys.ID{}):
		// Two incomplete records may be equal. Whole ones never are.
		return false, nil
	}
	return bytes.Equal(before.Data, now.Data), nil
}

// sweep removes what the dead have left, from the top down. Only the owner of
// L0 does it, and he owns L0 already: an error here costs nobody the lock, and
// the next recovery tries again.
func (l *DirLock) sweep(j judge) {
	levels, err := l.levels()
	for _, level := range slices.Backward(levels) {
		if level == 0 {
			continue
		}
		_, stale, e := l.stale(level, j)
		if e == nil && stale {
			e = l.dir.Remove(levelName(level))
		}
		err = errors.Join(err, e)
	}
	if err := errors.Join(err, fsys.Sweep(l.dir)); err != nil {
		l.mishap(slog.LevelWarn, "files of dead owners were left", err)
	}
}

// taken tells whether create failed because somebody else has the level, or is
// just about to.
func taken(err error) bool {
	return errors.Is(err, fs.ErrExist) || errors.Is(err, fsys.ErrBusy)
}

// create publishes a new record of ours at a level.
func (l *DirLock) create(level int) (*hold, error) {
	o, data, err := l.newOwner()
	if err != nil {
		return nil, err
	}
	f, err := l.publish(levelName(level), data)
	if err != nil {
		return nil, err
	}
	return &hold{f, o}, nil
}

// publish makes a file of ours appear, from what was made ready if there is.
func (l *DirLock) publish(name string, data []byte) (fsys.File, error) {
	if l.ready.file == nil {
		return l.dir.Create(name, data)
	}
	f, err := l.ready.file.CreateIn(l.dir, name, data)
	if !taken(err) {
		l.ready.file = nil
	}
	return f, err
}

// withdraw removes our level file from where it may be, and lets go of it. A
// failure is tried again, because the file would be in everybody's way for as
// long as we live.
func (l *DirLock) withdraw(h *hold, levels ...int) error {
	var errs error
	for _, level := range levels {
		var err error
		for range 3 {
			if _, err = l.remove(h, level); err == nil {
				break
			}
		}
		errs = errors.Join(errs, err)
	}
	_ = h.file.Close()
	return errs
}

// remove removes a level file if it is ours, and tells whether it was.
func (l *DirLock) remove(h *hold, level int) (found bool, err error) {
	name := levelName(level)
	ours, err := h.file.Intact(name)
	if err != nil || !ours {
		return false, err
	}
	err = l.dir.Remove(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// look reads a level file and judges its owner.
func (l *DirLock) look(level int, j judge) (look, error) {
	s, err := l.dir.Read(levelName(level))
	r := look{Snapshot: s, level: level}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		r.gone = true
		return r, nil
	case errors.Is(err, fsys.ErrNotRegular):
		return r, l.recordError(level, fsys.ErrNotRegular)
	case err != nil:
		return r, err
	}
	r.owner, err = parseRecord(s.Data)
	if r.torn = errors.Is(err, errTorn); err != nil && !r.torn {
		return r, l.recordError(level, err)
	}
	r.state, r.why, err = l.verdict(r.owner, r.torn, s.Witness)
	if j != nil {
		r.state = j(r)
	}
	return r, err
}

// judge overrules the verdict on an owner. Only Break has one.
type judge func(look) proc.State

// levels returns the levels that exist, whatever their files are, lowest first.
func (l *DirLock) levels() ([]int, error) {
	names, err := l.dir.List(levelPrefix)
	if err != nil {
		return nil, err
	}
	var levels []int
	for _, name := range names {
		if n, err := strconv.Atoi(strings.TrimPrefix(name, levelPrefix)); err == nil && n >= 0 && levelName(n) == name {
			levels = append(levels, n)
		}
	}
	slices.Sort(levels)
	return levels, nil
}

const levelPrefix = "L"

// levelName returns the name of a level file: L0, L1, L2, …
func levelName(level int) string { return levelPrefix + strconv.Itoa(level) }
