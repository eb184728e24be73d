package proc

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// identify asks sysctl(3). Boot is kern.bootsessionuuid, a random UUID made at
// each boot. Start is p_starttime, the wall-clock time in microseconds that the
// kernel wrote down when it made the process; it does not change when the clock
// is set later. macOS has no PID namespaces.
//
// There is no Unique. The kernel has one (p_uniqueid), but tells it only by
// proc_pidinfo(3), which golang.org/x/sys does not have; and calling the kernel
// by number is no stable interface of macOS. Start is nearly as good: for two
// processes to have the same PID and Start, the clock must have been set back
// to the very microsecond.
func (t *osTable) identify() Identity {
	boot, _ := unix.Sysctl("kern.bootsessionuuid")
	start, _ := lookAt(os.Getpid())
	return Identity{
		Start:     start,
		Boot:      token(strings.TrimSpace(boot)),
		Namespace: oneNamespace,
	}
}

// seesAll is true: on macOS ESRCH of kill(2) means that neither a process nor a
// zombie has the PID. A sandbox that forbids the signal says EPERM.
func seesAll() bool { return true }

// szomb is SZOMB of sys/proc.h: "Awaiting collection by parent".
const szomb = 5

// lookAt returns the start time of a process, "" if it cannot be read, and
// whether it is a zombie. On macOS a process becomes one when its last thread
// has ended.
func lookAt(pid int) (start string, zombie bool) {
	info, err := unix.SysctlKinfoProc("kern.proc.pid", pid)
	if err != nil || int(info.Proc.P_pid) != pid {
		return "", false
	}
	began := info.Proc.P_starttime
	return fmt.Sprintf("%d.%06d", began.Sec, began.Usec), info.Proc.P_stat == szomb
}
