package etcdfs

import (
	"time"

	"golang.org/x/sys/unix"
)

// sinceBoot is a clock that runs while the machine sleeps.
func sinceBoot() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		panic("etcdfs: CLOCK_BOOTTIME: " + err.Error()) // every Linux of Go has it
	}
	return time.Duration(t.Nano())
}
