//go:build !unix && !windows

package cli

import "os"

// terminalWidth returns whether f is a terminal: here nothing can tell.
func terminalWidth(*os.File) (int, bool) { return 0, false }

// inBackgroundOf tells whether another job has the terminal.
func inBackgroundOf(*os.File) bool { return false }
