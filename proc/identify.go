package proc

import (
	"fmt"
	"io/fs"
)

// Identify identifies another process by its PID, as this process sees it, for a
// record in the name of that process. The Command is empty, and so is each field
// that the system does not tell. If no process has this PID, or it has ended, the
// error matches [fs.ErrNotExist].
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
