package proc

import (
	"encoding/hex"
	"os"

	"golang.org/x/sys/unix"
)

// identify asks sysctl(3). Boot is kern.boot_id, 16 random bytes made at each
// boot (FreeBSD 13). A PID means the same process in all jails, but a process in
// a jail sees only the processes of that jail (jail(8)) and cannot tell which
// one it is in. So Namespace is known only outside jails.
//
// There is no Start. That of kinfo_proc is the time since boot, plus what the
// kernel takes for the time of the boot: it changes when the clock is set.
func (t *osTable) identify() Identity {
	var id Identity
	if b, err := unix.SysctlRaw("kern.boot_id"); err == nil && len(b) == 16 {
		id.Boot = hex.EncodeToString(b)
	}
	if jailed, err := unix.SysctlUint32("security.jail.jailed"); err == nil && jailed == 0 {
		id.Namespace = oneNamespace
	}
	return id
}

// seesAll reports whether kill(2) fails with ESRCH only for processes that do not
// exist. The policies of security.bsd and mac_seeotheruids(4) make it fail like
// that for other users' processes too, unless the caller is root.
func seesAll() bool {
	if os.Geteuid() == 0 {
		return true
	}
	for _, policy := range []string{"see_other_uids", "see_other_gids", "see_jail_proc"} {
		if sees, err := unix.SysctlUint32("security.bsd." + policy); err != nil || sees == 0 {
			return false
		}
	}
	hides, err := unix.SysctlUint32("security.mac.seeotheruids.enabled")
	return err != nil || hides == 0 // an error: the module is not loaded
}

func lookAt(int) (start string, zombie bool) { return "", false }
