package main

import (
	"fmt"
	"strings"
	"time"
)

// Config says what to do.
type Config struct {
	Dir       string // a temporary one, if empty
	Procs     int
	For       time.Duration
	KillEvery time.Duration
	Readers   int  // in a hundred acquisitions
	Broken    bool // the lock is broken on purpose
	Temps     bool // the dead may leave temporary files, which a recovery removes
}

func (c Config) check() error {
	switch {
	case c.Procs < 1 || c.Procs > 64:
		return fmt.Errorf("-procs %d is not 1 to 64", c.Procs)
	case c.Readers < 0 || c.Readers > 100:
		return fmt.Errorf("-readers %d is not 0 to 100", c.Readers)
	case c.For <= 0 || c.For > 10*time.Minute:
		return fmt.Errorf("-for %v is not up to 10m", c.For)
	case c.KillEvery < time.Millisecond || c.KillEvery > c.For:
		return fmt.Errorf("-kill-every %v is not 1ms or more, or longer than -for", c.KillEvery)
	}
	return nil
}

// Report says what came of it.
type Report struct {
	Config
	Acquired   uint64
	Shared     uint64 // of them, for reading
	Recovered  uint64 // from an owner that was killed
	Refused    uint64 // TryLock answered false
	Kills      int
	Holders    int // kills of a process that had the lock
	Recoveries int // kills after which there was a level above L0
	Highest    int // level that was seen after a kill
	Violations uint64
	LockOuts   int // times of more than 5 s without an acquisition
	Errors     uint64
	Levels     []string // left when all were killed: normal
	Left       int      // temporary files of the dead, before the last recovery
	Litter     []string // what else was left, or what was left at last: not normal
	Longest    time.Duration
	Problems   []string
}

// OK tells whether the lock did what it promises.
func (r *Report) OK() bool {
	return r.Violations == 0 && r.LockOuts == 0 && r.Errors == 0 && len(r.Litter) == 0 &&
		len(r.Problems) == 0 && r.Acquired > 0
}

// String is for people.
func (r *Report) String() string {
	var b strings.Builder
	line := func(name string, value any) { fmt.Fprintf(&b, "%-24s %v\n", name, value) }
	line("directory", r.Dir)
	line("processes", r.Procs)
	line("time", r.For)
	line("acquisitions", r.Acquired)
	if r.Readers > 0 {
		line("  shared", r.Shared)
	}
	line("  from a killed owner", r.Recovered)
	line("refusals", r.Refused)
	line("kills", r.Kills)
	line("  of an owner", r.Holders)
	line("  within a recovery", r.Recoveries)
	line("highest level", r.Highest)
	line("exclusion violations", r.Violations)
	line("lock-outs over 5s", r.LockOuts)
	line("longest wait", r.Longest.Round(time.Millisecond))
	line("errors", r.Errors)
	line("left by the dead", fmt.Sprint(r.Levels))
	line("temporary files", r.Left)
	line("litter", fmt.Sprint(r.Litter))
	for _, p := range r.Problems {
		line("problem", p)
	}
	if r.OK() {
		line("result", "ok")
	} else {
		line("result", "BROKEN")
	}
	return b.String()
}
