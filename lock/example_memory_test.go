package lock_test

import (
	"fmt"

	"github.com/dirlock/dirlock/fsys/memfs"
	"github.com/dirlock/dirlock/lock"
	"github.com/dirlock/dirlock/proc/proctest"
)

// A test without a disk: a file system in memory, and invented processes that
// share it. Each process is the process table that it sees.
func Example_inMemory() {
	disk := memfs.New("/srv/data")
	processes := proctest.NewFake()
	server, backup := processes.Start("server"), processes.Start("backup")

	// What the code under test gets is a lock.TryLockerSafe.
	newLock := func(p *proctest.FakeProcess) lock.TryLockerSafe {
		return lock.New("/srv/data", lock.WithFS(disk.As(p)), lock.WithProcesses(p))
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
