//go:build unix && !linux

package proc

// startOf returns what tells a process from others that have its PID before or
// after it.
func (t *osTable) startOf(pid int) (start, id string) {
	start, _ = lookAt(pid)
	return start, ""
}
