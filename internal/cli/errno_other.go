//go:build !unix && !windows

package cli

import "errors"

// Nothing can be locked here, so that these errors do not occur.
var (
	errReadOnly     = errors.New("read-only file system")
	errFull         = errors.New("file system full")
	errQuota        = errors.New("quota exceeded")
	errNotDir       = errors.New("not a directory")
	errTooManyFiles = errors.New("too many open files")
	errNotProgram   = errors.New("exec format error")
	errTryAgain     = errors.New("try again")
	errTooLong      = errors.New("argument list too long")
)
