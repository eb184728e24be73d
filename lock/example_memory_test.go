package lock_test

import (
	"fmt"
	"log"

	"github.com/spf13/afero"

	"github.com/dirlock/dirlock/fsys/aferofs"
	"github.com/dirlock/dirlock/lock"
	"github.com/dirlock/dirlock/proc"
	"github.com/dirlock/dirlock/proc/proctest"
)

// A test without a disk: an in-memory file system, and invented processes. Each
// process is the process table that it sees.
func Example_inMemory() {
	disk := afero.NewMemMapFs()
	if err := disk.MkdirAll("/srv/data", 0o755); err != nil {
		log.Fatal(err)
	}
	processes := proctest.NewFake()
	server, backup := processes.Start("server"), processes.Start("backup")

	// What the code under test gets is a lock.TryLockerSafe.
	newLock := func(p proc.Table) lock.TryLockerSafe {
		return lock.New("/srv/data", lock.WithFS(aferofs.New(disk)), lock.WithProcesses(p))
	}
	a, b := newLock(server), newLock(backup)

	fmt.Println(a.TryLock())
	fmt.Println(b.TryLock())

	server.Kill() // without Unlock
	processes.StartPID(server.PID(), "unrelated")
	fmt.Println(b.TryLock())
	fmt.Println(b.Unlock())
	// Output:
	// true <nil>
	// false <nil>
	// true <nil>
	// <nil>
}
