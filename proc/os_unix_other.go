//go:build aix || dragonfly || netbsd || openbsd || solaris

package proc

import "runtime"

// identify knows little. None of these systems has a name for its boot: the boot
// time that sysctl(3) and utmpx tell changes when the clock is set. So does the
// start time of a process, or the layout in which the kernel tells it is not
// fixed.
//
// AIX has workload partitions, DragonFly jails, and Solaris and illumos zones. A
// process in one of these sees only the processes in the same one.
func (t *osTable) identify() Identity {
	switch runtime.GOOS {
	case "netbsd", "openbsd":
		return Identity{Namespace: oneNamespace}
	}
	return Identity{}
}

func seesAll() bool { return true }

func lookAt(int) (start string, zombie bool) { return "", false }
