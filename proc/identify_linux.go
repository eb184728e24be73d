package proc

import "golang.org/x/sys/unix"

// startOf returns what tells a process from others that have its PID before or
// after it.
func (t *osTable) startOf(pid int) (start, id string) {
	if fd, err := pidfdOpen(pid); err == nil {
		id = unique(fd)
		unix.Close(fd)
	}
	if s, err := t.stat(pid); err == nil {
		start = s.start + "@" + t.clock
	}
	return start, id
}
