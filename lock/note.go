package lock

import (
	"bytes"
	"errors"
	"io/fs"
	"strings"
	"time"

	"github.com/dirlock/dirlock/fsys"
	"github.com/dirlock/dirlock/proc"
)

// Two machines that share a directory can each judge only their own dead. So a
// process that is refused the lock, because of an owner that it cannot judge,
// leaves a note for the others of every death that it knows of above L0: step 5
// of docs/protocol.md. The note of L1 is L1.dead, a copy of the record in L1. It
// says that the owner of that record is dead, which stays true.

const noteSuffix = ".dead"

func noteName(level int) string { return levelName(level) + noteSuffix }

// A waiter looks for deaths to note in one refusal of so many.
const noteEvery = 16

var notedDead = dead(20, "a process of its own machine has noted that it is dead")

// noted tells whether there is a note of the death of a level's owner.
func (v *visit) noted(r look) bool {
	if r.level == 0 || v.withoutNotes {
		return false
	}
	note, err := v.dir.Read(noteName(r.level))
	return err == nil && bytes.Equal(note.Data, r.Data)
}

// noteDeaths is called when the lock is refused. If it is not known whether the
// owner in the way lives, it leaves a note of every death that this process can
// prove, from L1 up to the first level that is free: they are in the way of those
// who can judge that owner. Safety depends on the truth of notes, and not on their
// being there: so a failure costs no more than that the next process that is
// refused makes them.
func (v *visit) noteDeaths(blocker look) {
	// Nobody can judge an incomplete record, and readers have no levels above them.
	if blocker.state != proc.Unknown || blocker.owner.ID == "" || blocker.in != "" {
		return
	}
	if v.withoutNotes || v.overrule != nil { // a person's word counts for one call
		return
	}
	if v.refusals++; v.waiting && v.refusals%noteEvery != 1 {
		return
	}
	begin := time.Now()
	for n := 1; n < maxLevels && v.since(begin) < maxClimb; n++ {
		r, err := v.look(n)
		if err != nil || r.gone {
			return
		}
		if r.state != proc.Dead || r.torn || r.row == notedDead.row {
			continue
		}
		if loc, err := fsys.Locate(v.dir); err != nil || loc.Local || v.note(r) != nil {
			return
		}
	}
}

// note leaves a note of the death of a level's owner.
func (v *visit) note(r look) error {
	name := noteName(r.level)
	f, err := v.dir.Create(name, r.Data)
	if taken(err) {
		if v.noted(r) {
			return nil
		}
		// It is of an earlier owner.
		if err := v.dir.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		f, err = v.dir.Create(name, r.Data)
	}
	if err != nil {
		return err
	}
	_ = f.Close()
	// Whoever removed the level file may have swept the notes before this one came.
	if unchanged, err := v.unchanged(r); err != nil || unchanged {
		return err
	}
	return v.dir.Remove(name)
}

// sweepNotes removes all notes but those of level files that are there, with the
// same record. Only a listing finds them.
func sweepNotes(dir fsys.Dir) (errs error) {
	names, err := dir.List(levelPrefix)
	if errors.Is(err, fs.ErrPermission) {
		return nil // it cannot be listed, here: others may
	}
	if err != nil {
		return err
	}
	for _, name := range names {
		level, isNote := strings.CutSuffix(name, noteSuffix)
		if !isNote || !levelFile().MatchString(level) {
			continue
		}
		file, err := dir.Read(level)
		if err == nil {
			var note fsys.Snapshot
			if note, err = dir.Read(name); err == nil && bytes.Equal(note.Data, file.Data) {
				continue
			}
		}
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			err = dir.Remove(name)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = errors.Join(errs, err)
		}
	}
	return errs
}
