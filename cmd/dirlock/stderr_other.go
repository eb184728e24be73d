//go:build !unix

package main

import "os"

func writeStderr(text string) { _, _ = os.Stderr.WriteString(text) }
