// Package cli is the command dirlock, and those that do the same with locks that are
// somewhere else.
package cli

import (
	"os"
	"runtime"
)

// Main is the main function of a command. It does not return.
func Main(s Store) {
	theStore = s
	main()
	os.Exit(0)
}

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
