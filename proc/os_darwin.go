package proc

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// identify asks sysctl(3). Boot is kern.bootsessionuuid, a random UUID made
// once per boot. Start is p_starttime, the wall-clock time that the kernel
// wrote down when it created the process; setting the clock does not change it
// later. macOS has no PID namespaces.
func (t *osTable) identify() Identity {
	boot, _ := unix.Sysctl("kern.bootsessionuuid")
	start, _ := lookAt(os.Getpid())
	return Identity{
		Start:     start,
		Boot:      token(strings.TrimSpace(boot)),
		Namespace: oneNamespace,
	}
}

// seesAll: ESRCH of kill(2) on macOS means that neither a process nor a zombie
// has the PID; a sandbox that forbids the signal says EPERM.
func seesAll() bool { return true }

// szomb is SZOMB of sys/proc.h: "Awaiting collection by parent".
const szomb = 5

// lookAt returns the start time of a process, "" if it cannot be read, and
// whether it is a zombie. A process on macOS becomes one when its last thread
// has ended.
func lookAt(pid int) (start string, zombie bool) {
	info, err := unix.SysctlKinfoProc("kern.proc.pid", pid)
	if err != nil || int(info.Proc.P_pid) != pid {
		return "", false
	}
	began := info.Proc.P_starttime
	return fmt.Sprintf("%d.%06d", began.Sec, began.Usec), info.Proc.P_stat == szomb
}
