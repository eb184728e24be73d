package proc

import (
	"fmt"
	"io/fs"
)

// Identify identifies a process that can be seen from here, by its PID: for a
// record in the name of another process. Its Command is empty. It fails with an
// error that matches [fs.ErrNotExist] if no process has this PID, or if it has
// ended.
func Identify(pid int) (Identity, error) {
	self, err := OS().Self()
	if err != nil {
		return Identity{}, err
	}
	id := Identity{PID: pid, Boot: self.Boot, Namespace: self.Namespace, Host: self.Host}
	if !impossible(pid) {
		id.Start, id.Unique = system.startOf(pid)
	}
	// Asked in this order, so that it is one process that start and end are of.
	if state, why := OS().Probe(id); state == Dead {
		return Identity{}, fmt.Errorf("process %d: %s: %w", pid, why, fs.ErrNotExist)
	}
	return id, nil
}
