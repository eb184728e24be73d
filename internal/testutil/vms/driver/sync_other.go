//go:build !linux

package main

import "os"

// syncAll is for Linux.
func syncAll(f *os.File) error { return f.Sync() }
