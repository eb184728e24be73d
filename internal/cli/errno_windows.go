package cli

import "golang.org/x/sys/windows"

// What the system says when nothing can be written.
const (
	errReadOnly     = windows.ERROR_WRITE_PROTECT
	errFull         = windows.ERROR_DISK_FULL
	errQuota        = windows.ERROR_DISK_QUOTA_EXCEEDED
	errNotDir       = windows.ERROR_DIRECTORY
	errTooManyFiles = windows.ERROR_TOO_MANY_OPEN_FILES
	errNotProgram   = windows.ERROR_BAD_EXE_FORMAT
	errTryAgain     = windows.ERROR_NOT_ENOUGH_MEMORY
	errTooLong      = windows.ERROR_FILENAME_EXCED_RANGE
)
