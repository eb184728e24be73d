package proc

import (
	"bytes"
	"errors"
)

// stat is the part of Linux's /proc/PID/stat that a probe needs, see
// proc_pid_stat(5). This file has no build constraint, so that its tests run
// everywhere.
type stat struct {
	state   byte   // field 3, of the first thread
	threads string // field 20, how many threads have not been released
	start   string // field 22, clock ticks from boot to the start
}

// zombie reports whether the first thread has ended. Other threads may run. Z
// is a zombie; X (and x before Linux 3.14) is one that is being released.
func (s stat) zombie() bool { return s.state == 'Z' || s.state == 'X' || s.state == 'x' }

var errStat = errors.New("not the content of a /proc/PID/stat")

// parseStat parses the content of a /proc/PID/stat, which may be cut short after
// field 22. The name in field 2 may contain anything, even parentheses and line
// feeds, so the fields after it are found from the end.
//
// The state is a letter. Emulators that make up the content write other things
// there; then the start time is not the kernel's either.
func parseStat(b []byte) (stat, error) {
	i := bytes.LastIndexByte(b, ')')
	if i < 0 || !bytes.Contains(b[:i], []byte(" (")) {
		return stat{}, errStat
	}
	// A field counts only with the space after it: half a number is another
	// number.
	var fields [20][]byte // 3 to 22
	rest, ok := bytes.CutPrefix(b[i+1:], []byte(" "))
	for i := range fields {
		if ok {
			fields[i], rest, ok = bytes.Cut(rest, []byte(" "))
		}
	}
	s := stat{threads: string(fields[20-3]), start: string(fields[22-3])}
	if !ok || len(fields[0]) != 1 || !letter(fields[0][0]) || !digits(s.threads) || !digits(s.start) {
		return stat{}, errStat
	}
	s.state = fields[0][0]
	return s, nil
}

// letter reports whether c is an ASCII letter.
func letter(c byte) bool { return 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' }

// digits reports whether s is a decimal number without a sign.
func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
