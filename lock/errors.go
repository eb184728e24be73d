package lock

import (
	"errors"
	"fmt"
)

var (
	// ErrNotHeld is returned by Unlock and Check on a handle that does not
	// hold the lock. Nothing was touched.
	ErrNotHeld = errors.New("this handle does not hold the lock")

	// ErrLost is returned by Unlock, Check and WithLock, and is the cause of the
	// context of Held, when this handle did acquire the lock, but the directory
	// does not hold its record any more: somebody removed, replaced or changed
	// the file, or removed the directory. It is matched, too, when the name of the
	// directory leads to another one, or to none, as after a move, a mount, or a
	// link that was made anew; the message says so. It is not if that cannot be
	// told: because a directory on the way is closed to this process, or because
	// the process has another root directory than when the handle was made.
	// Nothing was touched. What the lock protected may have had two users.
	ErrLost = errors.New("the lock was lost: its file was removed or replaced")

	// ErrNotRecord is matched by a [RecordError] for a level file that no
	// version of this package wrote.
	ErrNotRecord = errors.New("not a lock record")

	// ErrVersion is matched by a [RecordError] for a level file that a later
	// version of this package wrote.
	ErrVersion = errors.New("a lock record of a later version")

	// ErrOtherOwner is returned by Break and ForceBreak if none of the given
	// owners is in the way, or if somebody else is too. See Break.
	ErrOtherOwner = errors.New("held by another owner, or by nobody")

	// ErrAlive is returned by Break, but not by ForceBreak, if an owner to be
	// broken is known to be alive. Nothing was touched.
	ErrAlive = errors.New("the owner is alive")
)

// RecordError reports a file that is named like a level file, with content that
// this version does not understand. Its owner is unknown, so it is never removed.
// The error matches [ErrNotRecord], [ErrVersion], or
// [github.com/dirlock/dirlock/fsys.ErrNotRegular]. (If a level file cannot be read
// at all, the error is not a RecordError: it names the file too, and wraps what
// the system said.)
type RecordError struct {
	// Path is the full path of the file.
	Path string
	// Err says what is wrong with it. It never shows its content.
	Err error
}

// Error names the file and says what to do about it.
func (e *RecordError) Error() string {
	advice := "if no program needs this file, remove it; else give the lock a name of its own: lock.WithName, or --name"
	if errors.Is(e.Err, ErrVersion) {
		advice = "use the version of the program that made it"
	}
	return fmt.Sprintf("%s: %v (%s)", e.Path, e.Err, advice)
}

// Unwrap returns e.Err.
func (e *RecordError) Unwrap() error { return e.Err }
