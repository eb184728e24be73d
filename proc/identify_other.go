//go:build !unix

package proc

// startOf would return what tells a process from others that have its PID before
// or after it.
func (t *osTable) startOf(int) (start, id string) { return "", "" }
