// Command dirlock runs a command while it holds the lock of a directory, and
// tells who holds one. See "dirlock help".
package main

import "os"

func main() {
	if len(os.Args) == 2 && os.Args[1] == decoyArg {
		runDecoy()
		return
	}
	os.Exit(execute(os.Args[1:]))
}
