package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// syncAll sends to the disk all that is in memory of the file's file system.
func syncAll(f *os.File) error { return unix.Syncfs(int(f.Fd())) }
