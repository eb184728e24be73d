//go:build unix

package cli

import "syscall"

// What a system says when nothing can be written.
const (
	errReadOnly     = syscall.EROFS
	errFull         = syscall.ENOSPC
	errQuota        = syscall.EDQUOT
	errNotDir       = syscall.ENOTDIR
	errTooManyFiles = syscall.EMFILE
	errNotProgram   = syscall.ENOEXEC
	errTryAgain     = syscall.EAGAIN
	errTooLong      = syscall.E2BIG
)
