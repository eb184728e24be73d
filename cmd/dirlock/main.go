// Command dirlock runs a command while it holds the lock of a directory, and
// tells who holds one. See "dirlock help".
package main

import (
	"os"
	"runtime"
)

func main() {
	switch {
	case len(os.Args) == 2 && os.Args[1] == decoyArg:
		runDecoy()
		return
	case len(os.Args) == 5 && os.Args[1] == keeperArg:
		runKeeper(os.Args[2], os.Args[3], os.Args[4])
		return
	}
	runtime.GOMAXPROCS(1) // it starts faster, and has nothing to do at the same time
	os.Exit(execute(os.Args[1:]))
}

// keeperArg makes dirlock the keeper of a lock.
const keeperArg = "--keeper"
