//go:build aix || dragonfly || netbsd || openbsd || solaris

package proc

import "runtime"

// identify knows little. None of these systems has an identifier of its boot:
// the boot time of sysctl(3) and of utmpx changes when the clock is set. Nor is
// there a start time that does not change with it, or the layout in which the
// kernel tells it is not fixed.
//
// AIX has workload partitions, DragonFly jails, Solaris and illumos zones, in
// which a process sees only those beside it.
func (t *osTable) identify() Identity {
	switch runtime.GOOS {
	case "netbsd", "openbsd":
		return Identity{Namespace: oneNamespace}
	}
	return Identity{}
}

func seesAll() bool { return true }

func lookAt(int) (start string, zombie bool) { return "", false }
