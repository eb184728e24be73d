package lock

import (
	"errors"
	"fmt"
)

var (
	// ErrNotHeld is returned by Unlock and Check on a handle that does not
	// hold the lock. Nothing was touched.
	ErrNotHeld = errors.New("this handle does not hold the lock")

	// ErrLost is returned by Unlock and Check when this handle did acquire the
	// lock, but the directory does not hold its record any more: somebody
	// removed or replaced the file or the directory. Nothing was touched. What
	// the lock protected may have had two users.
	ErrLost = errors.New("the lock was lost: its file was removed or replaced by somebody else")

	// ErrNotRecord is matched by a [RecordError] for a level file that no
	// version of this package wrote.
	ErrNotRecord = errors.New("not a lock record")

	// ErrVersion is matched by a [RecordError] for a level file that a later
	// version of this package wrote.
	ErrVersion = errors.New("a lock record of a later version")

	// ErrOtherOwner is returned by Break when it is not only the owners to be
	// broken who are in the way, or none of them is. Nothing was touched.
	ErrOtherOwner = errors.New("held by another owner, or by nobody")

	// ErrAlive is returned by Break when the owner is alive, and the caller
	// did not insist. Nothing was touched.
	ErrAlive = errors.New("the owner is alive")
)

// RecordError reports a file that has the name of a level file and that nobody
// can judge: who made it is unknown, so it is never removed. It matches
// [ErrNotRecord], [ErrVersion], or
// [github.com/dirlock/dirlock/fsys.ErrNotRegular]. (A file that cannot be read
// at all is an error that wraps what the system said, and names it too.)
type RecordError struct {
	// Path is the full path of the file.
	Path string
	// Err says what is wrong with it. It never shows its content.
	Err error
}

// Error names the file and says what to do about it.
func (e *RecordError) Error() string {
	advice := "if no program needs this file, remove it"
	if errors.Is(e.Err, ErrVersion) {
		advice = "use the version of the program that made it"
	}
	return fmt.Sprintf("%s: %v (%s)", e.Path, e.Err, advice)
}

// Unwrap returns e.Err.
func (e *RecordError) Unwrap() error { return e.Err }
