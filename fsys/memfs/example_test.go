package memfs_test

import (
	"errors"
	"fmt"

	"github.com/dirlock/dirlock/fsys/memfs"
	"github.com/dirlock/dirlock/lock"
	"github.com/dirlock/dirlock/proc/proctest"
)

// Somebody removes the file of a lock. Its holder finds out, and another machine
// takes the lock.
func Example() {
	disk := memfs.New("/srv/data", memfs.Network())
	processes := proctest.NewFake()
	newLock := func(p *proctest.FakeProcess) *lock.DirLock {
		return lock.New("/srv/data", lock.WithFS(disk.As(p)), lock.WithProcesses(p))
	}
	a := newLock(processes.Start("server"))
	b := newLock(processes.Machine("far").Start("server"))

	fmt.Println(a.TryLock())
	fmt.Println(b.TryLock())
	disk.Remove("/srv/data/L0")
	fmt.Println(errors.Is(a.Check(), lock.ErrLost))
	fmt.Println(b.TryLock())
	fmt.Println(disk.Names("/srv/data"))
	// Output:
	// true <nil>
	// false <nil>
	// true
	// true <nil>
	// [L0]
}

// A process dies in the middle of an operation, and another operation fails.
func ExampleDisk_Before() {
	disk := memfs.New("/srv/data")
	processes := proctest.NewFake()
	p, q := processes.Start("p"), processes.Start("q")
	errFull := errors.New("no space left")
	disk.Before(func(op memfs.Op) error {
		switch {
		case op.Process == p && op.Name == "remove":
			p.Kill()
		case op.Process == q && op.Name == "create":
			return errFull
		}
		return nil
	})
	a := lock.New("/srv/data", lock.WithFS(disk.As(p)), lock.WithProcesses(p))
	b := lock.New("/srv/data", lock.WithFS(disk.As(q)), lock.WithProcesses(q))

	fmt.Println(a.TryLock())
	fmt.Println(a.Unlock() != nil, disk.Names("/srv/data"))
	_, err := b.TryLock()
	fmt.Println(errors.Is(err, errFull))
	// Output:
	// true <nil>
	// true [L0]
	// true
}
