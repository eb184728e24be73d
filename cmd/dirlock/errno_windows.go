package main

import "golang.org/x/sys/windows"

// What the system says when nothing can be written.
const (
	errReadOnly = windows.ERROR_WRITE_PROTECT
	errFull     = windows.ERROR_DISK_FULL
	errQuota    = windows.ERROR_DISK_QUOTA_EXCEEDED
	errNotDir   = windows.ERROR_DIRECTORY
)
