//go:build !unix

package cli

import "os"

func writeStderr(text string) { _, _ = os.Stderr.WriteString(text) }
