package cli

import (
	"os"

	"golang.org/x/sys/windows"
)

// terminalWidth returns the number of columns of the console that f is, and
// whether it is one.
func terminalWidth(f *os.File) (int, bool) {
	var info windows.ConsoleScreenBufferInfo
	if err := windows.GetConsoleScreenBufferInfo(windows.Handle(f.Fd()), &info); err != nil {
		return 0, false
	}
	return int(info.Window.Right-info.Window.Left) + 1, true
}

// inBackgroundOf tells whether another job has the terminal.
func inBackgroundOf(*os.File) bool { return false }
