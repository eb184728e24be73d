package proc

import (
	"bytes"
	"errors"
)

// stat is what a probe needs of Linux's /proc/PID/stat, see proc_pid_stat(5).
// This file has no build constraint: its tests run everywhere.
type stat struct {
	state   byte   // field 3, of the thread-group leader
	threads string // field 20, how many threads have not been released
	start   string // field 22, clock ticks between boot and the start
}

// zombie says that the thread-group leader has ended. Other threads may run.
// Z is a zombie, X (and x, before Linux 3.14) one that is being released.
func (s stat) zombie() bool { return s.state == 'Z' || s.state == 'X' || s.state == 'x' }

var errStat = errors.New("not the content of a /proc/PID/stat")

// parseStat parses the content of a /proc/PID/stat, of which the end may be
// missing after field 22. The name in field 2 may hold anything, parentheses
// and line feeds included, so that what follows it is found from the end.
func parseStat(b []byte) (stat, error) {
	i := bytes.LastIndexByte(b, ')')
	if i < 0 || !bytes.Contains(b[:i], []byte(" (")) {
		return stat{}, errStat
	}
	// A field counts only if the space after it is there: half a number is
	// another number.
	var fields [20][]byte // 3 to 22
	rest, ok := bytes.CutPrefix(b[i+1:], []byte(" "))
	for i := range fields {
		if ok {
			fields[i], rest, ok = bytes.Cut(rest, []byte(" "))
		}
	}
	s := stat{threads: string(fields[20-3]), start: string(fields[22-3])}
	if !ok || len(fields[0]) != 1 || !digits(s.threads) || !digits(s.start) {
		return stat{}, errStat
	}
	s.state = fields[0][0]
	return s, nil
}

// digits says whether s is a decimal number without a sign.
func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
