package main

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/dirlock/dirlock/lock"
)

// Exit statuses of dirlock's own. Those from 64 are sysexits(3)'s; flock(1)
// uses 1, 64, 66 and 73 alike. 126 and 127 are the shell's.
const (
	exitConflict    = 1   // the lock is held; run can be told to use another
	exitUsage       = 64  // EX_USAGE
	exitRecord      = 65  // EX_DATAERR: a level file that nobody can judge
	exitNoDir       = 66  // EX_NOINPUT: no such directory
	exitUnsupported = 69  // EX_UNAVAILABLE: no locking here
	exitSystem      = 71  // EX_OSERR: anything else that the system refused
	exitCannotWrite = 73  // EX_CANTCREAT: no permission, read-only, full
	exitLost        = 76  // EX_PROTOCOL: the lock was lost while the command ran
	exitCannotRun   = 126 // the command exists, and cannot be executed
	exitNotFound    = 127 // there is no such command
	exitSignal      = 128 // plus the number of the signal
)

// exitError ends dirlock with a status. With an empty text it says nothing.
type exitError struct {
	code int
	text string
}

func (e exitError) Error() string { return e.text }

// usageError is a command line that makes no sense.
type usageError struct {
	err     error
	command string // whose help to read
}

func (e usageError) Error() string {
	return fmt.Sprintf(`%v; see "%s --help"`, e.err, e.command)
}

// outcome returns the exit status for an error, and what to say: what happened,
// where, why, and what to do.
func outcome(err error) (code int, text string) {
	var exit exitError
	var usage usageError
	switch {
	case err == nil:
		return 0, ""
	case errors.As(err, &exit):
		return exit.code, exit.text
	case errors.As(err, &usage):
		return exitUsage, usage.Error()
	}
	code, advice := advise(err)
	text = err.Error()
	if advice != "" {
		text += "; " + advice
	}
	return code, text
}

// advise returns the exit status for an error of the lock, and what to do.
func advise(err error) (code int, advice string) {
	var record *lock.RecordError
	switch {
	case errors.As(err, &record):
		return exitRecord, "" // it says so itself
	case errors.Is(err, errors.ErrUnsupported):
		return exitUnsupported, "use a directory on another file system"
	case errors.Is(err, fs.ErrNotExist):
		return exitNoDir, "create the directory first"
	case errors.Is(err, errNotDir):
		return exitNoDir, "give a directory, not a file"
	case errors.Is(err, fs.ErrPermission):
		return exitCannotWrite, "use a directory that this user may read and write"
	case errors.Is(err, errReadOnly):
		return exitCannotWrite, "use a directory that can be written to"
	case errors.Is(err, errFull), errors.Is(err, errQuota):
		return exitCannotWrite, "free some space"
	}
	return exitSystem, ""
}
