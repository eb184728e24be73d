//go:build unix

package main

import "syscall"

// errQuota means that a user has used up his share of the file system.
const errQuota = syscall.EDQUOT
