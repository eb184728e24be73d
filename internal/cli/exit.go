package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/dirlock/dirlock/fsys"
	"github.com/dirlock/dirlock/lock"
)

// Exit statuses of dirlock's own. Those from 64 are sysexits(3)'s; flock(1)
// uses 1, 64, 66 and 73 alike. 126 and 127 are the shell's.
const (
	exitConflict    = 1   // the lock is held; run can be told to use another
	exitUsage       = 64  // EX_USAGE
	exitRecord      = 65  // EX_DATAERR: an unrecognized level file
	exitNoDir       = 66  // EX_NOINPUT: no such directory
	exitUnsupported = 69  // EX_UNAVAILABLE: no locking here
	exitSystem      = 71  // EX_OSERR: anything else that the system refused
	exitCannotWrite = 73  // EX_CANTCREAT: no permission, read-only, full
	exitLost        = 76  // EX_PROTOCOL: the lock was lost while the command ran
	exitNested      = 78  // EX_CONFIG: it would wait for itself
	exitCannotRun   = 126 // the command exists, and cannot be executed
	exitNotFound    = 127 // there is no such command
	exitSignal      = 128 // plus the number of the signal
)

// exitError ends dirlock with a status. With an empty text it says nothing.
type exitError struct {
	code int
	text string
	hint string // what to do
}

func (e exitError) Error() string { return e.text }

// usageError is a command line that makes no sense.
type usageError struct {
	err     error
	command string // whose help to read
	hint    string // what to do, if there is more to say than to read that
}

func (e usageError) Error() string { return e.err.Error() }

// outcome returns the exit status for an error, and what to say: what happened,
// and what to do.
func outcome(err error) (code int, text, hint string) {
	var exit exitError
	var usage usageError
	var record *lock.RecordError
	switch {
	case err == nil:
		return 0, "", ""
	case errors.As(err, &nestedError{}):
		var nested nestedError
		errors.As(err, &nested)
		return nested.code, nested.text, nested.hint
	case errors.As(err, &exit):
		return exit.code, exit.text, exit.hint
	case errors.As(err, &usage):
		if usage.hint == "" {
			usage.hint = fmt.Sprintf(`see "%s --help"`, usage.command)
		}
		return exitUsage, usage.Error(), usage.hint
	case errors.As(err, &record):
		hint = "if no program needs this file, remove it; else give the lock a name of its own: --name"
		if errors.Is(err, lock.ErrVersion) {
			hint = "use the version of the program that made it"
		}
		return exitRecord, fmt.Sprintf("%s: %v", record.Path, record.Err), hint
	}
	code, hint = advise(err)
	return code, describe(err), hint
}

// describe is err.Error() without a path that is in it twice: package lock names
// the directory, and its file system the file in it.
func describe(err error) string {
	var outer, inner *fs.PathError
	if !errors.As(err, &outer) || !errors.As(outer.Err, &inner) {
		return err.Error()
	}
	name, inside := strings.CutPrefix(inner.Path, outer.Path)
	if !inside {
		return err.Error()
	}
	ofDirectory := errors.Is(err, fs.ErrNotExist) || errors.Is(err, errNotDir)
	if name = strings.TrimLeft(name, `/\`); name == "" || ofDirectory {
		return fmt.Sprintf("%s %s: %v", outer.Op, outer.Path, inner.Err)
	}
	return fmt.Sprintf("%s %s: %s %s: %v", outer.Op, outer.Path, inner.Op, name, inner.Err)
}

// advise returns the exit status for an error of the lock, and what to do.
func advise(err error) (code int, hint string) {
	dir := ""
	if path := (*fs.PathError)(nil); errors.As(err, &path) {
		dir = path.Path
	}
	switch {
	case errors.Is(err, fsys.ErrUnavailable):
		return exitUnsupported, "is the server there, and can it be reached from here?"
	case errors.Is(err, errors.ErrUnsupported):
		return exitUnsupported, "use a directory on another file system"
	case errors.Is(err, fs.ErrNotExist):
		return exitNoDir, missingHint(dir)
	case errors.Is(err, errNotDir):
		return exitNoDir, "give a directory, not a file"
	case errors.Is(err, fs.ErrPermission):
		return exitCannotWrite, permissionHint(dir)
	case errors.Is(err, errReadOnly):
		return exitCannotWrite, "use a directory that can be written to"
	case errors.Is(err, errFull), errors.Is(err, errQuota):
		return exitCannotWrite, "free some space"
	case errors.Is(err, errTooManyFiles):
		return exitSystem, "raise the limit of open files (ulimit -n), or close some"
	}
	return exitSystem, "check the directory, and try again"
}

// missingHint says what to do about a directory that is missing, or seems to be.
func missingHint(dir string) string {
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		return "no files can be created in this directory; use another one"
	}
	return "create the directory first"
}
