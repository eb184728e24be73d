package lock

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"slices"
	"time"

	"github.com/dirlock/dirlock/fsys"
	"github.com/dirlock/dirlock/proc"
)

// This file is the protocol of docs/protocol.md, with its step numbers. It is
// all that decides who owns the directory.

const (
	// One TryLock makes at most maxAttempts, because somebody else was
	// recovering the directory at the same time. Between them it pauses, for
	// retryPause at first and then twice as long each time: 25 ms in all.
	maxAttempts = 8
	retryPause  = 200 * time.Microsecond

	// No attempt begins later than maxRetrying after the first climb began, and
	// no climb takes longer than maxClimb, unless the caller waits for the lock.
	maxRetrying = 100 * time.Millisecond
	maxClimb    = time.Second

	// Level files are looked for by name. The search ends after so many names in
	// a row without a file, or at this level.
	maxGap    = 8
	maxLevels = 10_000
)

// acquire is TryLock: it runs the protocol until it owns the directory or finds
// somebody in the way. It returns our L0, or else what was in the way. If
// expectFree is true, the caller has reason to think that there is no L0.
func (v *visit) acquire(ctx context.Context, expectFree bool) (*hold, look, error) {
	for n := 0; ; n++ {
		h, blocker, again, err := v.attempt(ctx, expectFree && n == 0)
		// 4. Starting again is bounded.
		if !again || err != nil || n+1 == v.maxAttempts || v.climbing(maxRetrying) {
			if h == nil && err == nil {
				v.noteDeaths(blocker) // 5.
			}
			return h, blocker, err
		}
		if err := v.pause(ctx, v.jitter(retryPause<<n), nil, nil); err != nil {
			return nil, blocker, err
		}
	}
}

// attempt is TryLock, once through. It returns our L0; or what was in the way,
// and whether to start again at 1 because that was not an owner of L0.
func (v *visit) attempt(ctx context.Context, expectFree bool) (h *hold, blocker look, again bool, err error) {
	// 1. Create L0. If it is probably free, create first; if that fails, read, to
	// tell a held lock from a create that cannot succeed. Otherwise a look first
	// makes a held lock cost one small read and no file.
	if expectFree {
		if h, err := v.create(0); err == nil {
			return h, look{}, false, nil
		}
	}
	m, err := v.look(0)
	if err != nil {
		return nil, m, false, err
	}
	if m.gone {
		h, err := v.create(0)
		if !taken(err) {
			return h, m, false, err
		}
		// 2. It exists: read it. Gone meanwhile: it was held a moment ago, or it was
		// the directory of readers, and empty. That would be no hold.
		m, err = v.look(0)
		if err != nil || m.gone {
			return nil, m, err == nil, err
		}
	}
	if m.shared {
		return v.vacate() // docs/shared.md
	}
	if m.state != proc.Dead {
		return nil, m, false, nil
	}
	if m.leased() {
		return v.swap(m)
	}
	return v.climb(ctx, m)
}

// climb is step 3: the owner of L0 is dead, and m is its record. Whoever gets
// the first level that is not stale, and then finds L0 unchanged, may replace it.
func (v *visit) climb(ctx context.Context, m look) (h *hold, blocker look, again bool, err error) {
	var stale []look
	if v.climbed.IsZero() {
		v.climbed = time.Now()
	}
	for i := 1; ; {
		h, err := v.create(i)
		if err == nil {
			return v.takeOver(h, i, m, stale)
		}
		if !taken(err) {
			return nil, m, false, err
		}
		// It exists. Above a stale level the next one is looked at before it is
		// created, because there are often several.
		for first := true; ; first = false {
			r, isStale, err := v.lookTwice(i)
			if r.gone && !first {
				break
			}
			if err != nil || !isStale {
				return nil, r, true, err
			}
			if err := ctx.Err(); err != nil {
				return nil, m, false, err
			}
			if !v.waiting && v.climbing(maxClimb) {
				return nil, m, false, nil
			}
			stale = append(stale, r)
			i++
		}
	}
}

// climbing tells whether this call began to climb longer than d ago.
func (v *visit) climbing(d time.Duration) bool {
	return !v.climbed.IsZero() && v.since(v.climbed) > d
}

// takeOver replaces L0 by Li, which is h, if L0 still holds m.
func (v *visit) takeOver(h *hold, i int, m look, stale []look) (_ *hold, blocker look, again bool, err error) {
	unchanged, err := v.unchanged(m)
	if err != nil || !unchanged {
		return nil, m, true, errors.Join(err, h.withdraw(i))
	}
	// Li becomes L0: the replacement and the removal of the topmost level are
	// one step.
	err = v.dir.Replace(levelName(i), levelName(0))
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		h, err = v.takeOverWithoutReplace(h, i)
	case err != nil:
		err = errors.Join(err, h.withdraw(i, 0))
	}
	if err != nil || h == nil {
		return nil, m, err == nil, err
	}
	v.logRecovered(h, i, m)
	v.sweep(i, stale)
	h.recovered, h.notes = true, !h.owner.Local && !v.withoutNotes
	return h, m, false, nil
}

// takeOverWithoutReplace removes L0 and creates it anew, for file systems that
// cannot do both in one step. In between the name is free, and whoever creates
// it owns the directory: then the result is nil. Li, which is h, keeps everybody
// else from doing the same until our own L0 is there.
func (v *visit) takeOverWithoutReplace(h *hold, i int) (*hold, error) {
	err := v.dir.Remove(levelName(0))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, errors.Join(err, h.withdraw(i))
	}
	owned, err := v.create(0)
	if taken(err) {
		err = nil
	}
	if e := h.withdraw(i); e != nil {
		err = errors.Join(err, e)
		if owned != nil {
			err = errors.Join(err, owned.withdraw(0))
			owned = nil
		}
	}
	return owned, err
}

// lookTwice looks at a level that exists, and tells whether its owner is dead
// and it is still there. The answer "dead" is about the past: the owner may have
// removed the file and died before we asked. So the file is read again after
// the death is known; a dead owner removes nothing.
func (v *visit) lookTwice(level int) (r look, stale bool, err error) {
	r, err = v.look(level)
	if err != nil || r.gone || r.state != proc.Dead {
		return r, false, err
	}
	stale, err = v.unchanged(r)
	return r, stale, err
}

// sweep removes what the dead have left, from the top down: the stale levels
// that we climbed over, and any others from level top on. Only the owner of L0
// does it, and it owns L0 already: an error here costs nobody the lock, and the
// next recovery tries again.
func (v *visit) sweep(top int, stale []look) {
	var errs error
	for n, gap := top, 0; gap < v.maxGap && n < maxLevels; n++ {
		r, err := v.look(n)
		if err == nil && r.gone {
			gap++
			continue
		}
		gap, errs = 0, errors.Join(errs, err)
		if err == nil && r.state == proc.Dead {
			stale = append(stale, r)
		}
	}
	for _, r := range slices.Backward(stale) {
		unchanged, err := v.unchanged(r)
		if err == nil && unchanged {
			err = v.dir.Remove(levelName(r.level))
		}
		errs = errors.Join(errs, err)
	}
	if errs != nil {
		v.later(mishap(slog.LevelWarn, leftFiles, errs))
	}
}

// unlock removes L0 if it is still ours, and its directory's name leads to no
// other one. If not, lost says why. Then it lets go of the file.
func (h *hold) unlock() (lost, err error) {
	name, place := levelName(0), fsys.Gone
	found, err := fsys.Remove(h.file, name)
	if errors.Is(err, errors.ErrUnsupported) {
		place, err = fsys.PlaceOf(h.file, name)
		if err == nil && (place == fsys.Here || place == fsys.Moved) {
			found, err = h.removeOurs(h.dir, name)
		}
	}
	if err != nil {
		return nil, err
	}
	h.awaited = anyFollowed(h.places)
	closePlaces(h.places) // the oldest line first
	h.letGo()
	return lossUnless(found, place), nil
}
