package lock

import (
	"bytes"
	"errors"
	"io/fs"
	"strconv"

	"github.com/dirlock/dirlock/fsys"
)

// hold is a level file of ours: made by this handle, and not yet removed by it.
type hold struct {
	dir   fsys.OpenDir // is closed with L0
	sub   fsys.Subdir  // of a reader or a claim: the directory that file is in
	file  fsys.File
	owner Owner

	places    []fsys.Spot // in lines: those behind it sleep until Unlock
	awaited   bool        // others stood in them, at Unlock
	recovered bool        // from a dead owner
	notes     bool        // … and there may be notes of deaths
	left      error       // why files of the dead were not removed

	guard      *guard // nil until somebody asks to be told of a loss
	lossLogged bool
}

// look is one look at a level file.
type look struct {
	fsys.Snapshot
	level  int
	in     string // readersName or claimsName, with the name there: not a level file
	name   string
	gone   bool  // there is no such file
	shared bool  // it is L0, and the directory of the readers
	owner  Owner // unless gone, shared or torn
	torn   bool  // the record is incomplete
	verdict
}

// look reads a level file and judges its owner.
func (v *visit) look(level int) (look, error) {
	s, err := v.dir.Read(levelName(level))
	return v.judged(look{Snapshot: s, level: level}, err)
}

// judged judges the owner of a file that was read, unless err says why it was not.
func (v *visit) judged(r look, err error) (look, error) {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		r.gone = true
		return r, nil
	case errors.Is(err, fsys.ErrDirectory) && r.in == "" && r.level == 0:
		r.shared = true
		return r, nil
	case errors.Is(err, fsys.ErrNotRegular):
		return r, v.recordError(r, fsys.ErrNotRegular)
	case errors.Is(err, fsys.ErrBusy):
		r.verdict = unknown(16, "another process keeps its file from being opened")
		return r, nil
	case err != nil:
		return r, err
	}
	r.owner, err = parseRecord(r.Data)
	if r.torn = errors.Is(err, errTorn); err != nil && !r.torn {
		return r, v.recordError(r, err)
	}
	r.verdict, err = v.judge(r)
	if v.overrule != nil {
		r.state = v.overrule(r)
	}
	return r, err
}

// peek is a look at L0 before the directory is opened, where that saves the
// opening. If the kernel says that L0 is held, that settles the common case of a
// held lock; and if there is no L0, a create is likely to succeed. Nothing else
// that it sees counts: the directory that is opened next may be another one.
func (l *DirLock) peek() (r look, gone bool) {
	p, ok := l.named.(fsys.Peeker)
	if !ok || l.overrule != nil {
		return look{}, false
	}
	s, err := p.Peek(levelName(0))
	if err != nil {
		return look{}, errors.Is(err, fs.ErrNotExist)
	}
	r.Snapshot = s
	r.owner, err = parseRecord(s.Data)
	if err == nil && r.heldByKernel() {
		r.verdict = vouchedFor
	}
	return r, false
}

// unchanged tells whether a level file is the one that was looked at before.
func (v *visit) unchanged(before look) (bool, error) {
	now, err := v.dir.Read(levelName(before.level))
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fsys.ErrNotRegular), errors.Is(err, fsys.ErrBusy):
		return false, nil
	case err != nil:
		return false, err
	case before.torn && (before.ID != now.ID || now.ID == fsys.ID{}):
		// Two incomplete records may be equal. Whole ones never are.
		return false, nil
	}
	return bytes.Equal(before.Data, now.Data), nil
}

// create publishes a new record of ours at a level.
func (v *visit) create(level int) (*hold, error) {
	return v.make(func(_ string, data []byte) (fsys.File, error) { return v.publish(levelName(level), data) })
}

// make makes a file of ours, with a new record, in the way that it is told. That
// gets the ID in the record, too.
func (v *visit) make(publish func(id string, data []byte) (fsys.File, error)) (*hold, error) {
	o, data, err := v.newRecord(v.dir)
	if err != nil {
		return nil, err
	}
	holdID(o.ID) // before anybody can see it
	f, err := publish(o.ID, data)
	if err != nil {
		letGoOfID(o.ID)
		return nil, err
	}
	return &hold{dir: v.opened, file: f, owner: o}, nil
}

// publish makes a file of ours appear, from what was made ready if there is.
func (v *visit) publish(name string, data []byte) (fsys.File, error) {
	if v.ready.file == nil {
		return v.dir.Create(name, data)
	}
	f, err := v.ready.file.CreateIn(v.dir, name, data)
	if !taken(err) {
		v.ready.file = nil
	}
	return f, err
}

// taken tells whether create failed because somebody else has the level, or is
// just about to.
func taken(err error) bool {
	return errors.Is(err, fs.ErrExist) || errors.Is(err, fsys.ErrBusy)
}

// withdraw removes our level file from where it may be, and lets go of it. A
// failure is tried again, because the file would be in everybody's way for as
// long as we live.
func (h *hold) withdraw(levels ...int) error {
	var errs error
	for _, level := range levels {
		var err error
		for range 3 {
			if _, err = h.remove(level); err == nil {
				break
			}
		}
		errs = errors.Join(errs, err)
	}
	h.letGo()
	return errs
}

// letGo ends what shows others that we hold the file. It comes after the file is
// gone, or was found not to be ours: we do not touch it again.
func (h *hold) letGo() {
	_ = h.file.Close()
	letGoOfID(h.owner.ID)
}

// remove removes a level file if it is ours, and tells whether it was.
func (h *hold) remove(level int) (found bool, err error) {
	name := levelName(level)
	if found, err = fsys.Remove(h.file, name); !errors.Is(err, errors.ErrUnsupported) {
		return found, err
	}
	return h.removeFrom(h.dir, name)
}

// removeFrom removes a file in a directory if it is ours, and tells whether it was.
func (h *hold) removeFrom(d fsys.Dir, name string) (found bool, err error) {
	ours, err := h.file.Intact(name)
	if err != nil || !ours {
		return false, err
	}
	return h.removeOurs(d, name)
}

// removeOurs removes a file in a directory that was seen to be ours.
func (h *hold) removeOurs(d fsys.Dir, name string) (found bool, err error) {
	err = d.Remove(name)
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	}
	// That it failed does not say that it was not done.
	if still, e := h.file.Intact(name); e == nil && !still {
		return true, nil
	}
	return false, err
}

const levelPrefix = "L"

// levelName returns the name of a level file: L0, L1, L2 and so on.
func levelName(level int) string { return levelPrefix + strconv.Itoa(level) }
