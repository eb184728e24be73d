package lock

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dirlock/dirlock/proc"
)

// ErrHeld is matched by a [HeldError].
var ErrHeld = errors.New("the lock is held")

// HeldError says that the lock was not acquired, and who had it at the last
// look. [DirLock.LockNow] returns it, and so does [DirLock.LockContext] if its
// context ends while it waits; both wrap it in an [fs.PathError]. It matches
// [ErrHeld], and Err.
//
//	var held *lock.HeldError
//	if errors.As(err, &held) {
//		fmt.Println("in use by", held.Owner(), "since", held.Owner().Since)
//	}
type HeldError struct {
	// Dir is the path of the directory.
	Dir string
	// Name is the name of the lock, empty for the one without: see [WithName].
	Name string
	// Level is the level file that was in the way. Most often that is L0, and its
	// owner has the lock. If N is greater, its owner is taking the lock over; if
	// State is Dead, some process is taking it over from that owner. If
	// Level.Owner is the zero Owner, the lock had just been released and others
	// were faster, or the record is incomplete.
	Level Level
	// Err is the error of the context, or nil if nobody waited.
	Err error
}

// Owner returns e.Level.Owner.
func (e *HeldError) Owner() Owner { return e.Level.Owner }

// Error says who has the lock, since when, and what to do.
func (e *HeldError) Error() string {
	s := e.who() + e.advice()
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *HeldError) who() string {
	o := e.Owner()
	switch {
	case o.ID == "":
		return "another process has the lock"
	case e.Level.in == claimsName:
		return fmt.Sprintf("%s waits for the readers to leave, and is next", o)
	case e.Level.N > 0:
		return fmt.Sprintf("%s is taking the lock over", o)
	case e.Level.State == proc.Dead:
		return fmt.Sprintf("another process is taking the lock over from %s, which is dead", o)
	}
	how := "held by"
	if e.Level.in == readersName {
		how = "shared by"
	}
	if o.Since.IsZero() {
		return fmt.Sprintf("%s %s", how, o)
	}
	return fmt.Sprintf("%s %s since %s", how, o, o.Since.UTC().Format(time.RFC3339))
}

func (e *HeldError) advice() string {
	if e.Owner().ID == "" || e.Level.State != proc.Unknown {
		return " (wait for it, or stop it)"
	}
	name := ""
	if e.Name != "" {
		name = "--name " + e.Name + " "
	}
	return fmt.Sprintf(" (it cannot be told from here whether it still runs: %s; if it does not, free the lock with: dirlock break %s--owner %s %s)",
		e.Level.Reason, name, e.Owner().ID, e.Dir)
}

// Is matches ErrHeld.
func (e *HeldError) Is(target error) bool { return target == ErrHeld }

// Unwrap returns e.Err.
func (e *HeldError) Unwrap() error { return e.Err }

// heldError says what was in the way when err ended the attempt.
func (l *DirLock) heldError(b look, err error) error {
	return &HeldError{Dir: l.path, Name: l.name, Err: err, Level: Level{
		N: b.level, Path: l.pathOf(b), in: b.in,
		Owner: b.owner, State: b.state, Reason: b.why,
	}}
}

// LockNow is TryLock for programs to which a held lock is an error: a
// [HeldError] that says who has it. It does not wait, and fails otherwise as
// TryLock does.
func (l *DirLock) LockNow() error {
	ok, blocker, err := l.try(context.Background(), want{})
	if !ok && err == nil {
		err = l.heldError(blocker, nil)
	}
	return l.wrap("lock", err)
}

// gaveUp says who had the lock, if err is that of ctx.
func (l *DirLock) gaveUp(ctx context.Context, b look, err error) error {
	if ctx.Err() == nil || !errors.Is(err, ctx.Err()) {
		return err
	}
	return l.heldError(b, err)
}

// gaveUpInLine is gaveUp for a goroutine that has not looked yet, because another
// one of this process waits for the same lock.
func (l *DirLock) gaveUpInLine(err error) error {
	s, statusErr := l.Status()
	state, level := s.State()
	if statusErr != nil || state != Held && state != Shared {
		return err
	}
	return &HeldError{Dir: l.path, Name: l.name, Level: level, Err: err}
}
