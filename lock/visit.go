package lock

import (
	"errors"
	"io/fs"
	"time"

	"github.com/dirlock/dirlock/fsys"
)

// visit is one call at work in the directory, which stays the same throughout.
type visit struct {
	*DirLock
	dir     fsys.OpenDir
	opened  fsys.OpenDir // is dir, and outlives the call
	events  []event      // to be logged when the handle's mutex is free
	waiting bool         // the caller waits for the lock, and has time
	climbed time.Time    // when it first began to climb

	recovered bool // a reader has taken over from a dead owner
	notes     bool // … and there may be notes of deaths
}

var errZero = errors.New("a DirLock must be made by lock.New")

// enter opens the directory that has the name now.
func (l *DirLock) enter() (visit, error) {
	if err := l.madeWrongly(); err != nil {
		return visit{}, err
	}
	dir, err := fsys.Open(l.named)
	return visit{DirLock: l, dir: dir, opened: dir}, err
}

// madeWrongly returns why this handle can do nothing.
func (l *DirLock) madeWrongly() error {
	if l.unusable == nil && l.named == nil {
		return errZero
	}
	return l.unusable
}

// leave lets go of the directory.
func (v *visit) leave() { _ = v.dir.Close() }

// wrap names the operation and the directory, once.
func (l *DirLock) wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	if inner, ok := err.(*fs.PathError); ok && inner.Path == l.path {
		err = inner.Err
	}
	return &fs.PathError{Op: op, Path: l.path, Err: err}
}

func (l *DirLock) recordError(r look, err error) error {
	return &RecordError{Path: l.pathOf(r), Err: err}
}
