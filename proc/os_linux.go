package proc

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/dirlock/dirlock/proc/internal/reason"
)

const maxPID = maxPID32

// osState is what the table knows about procfs and this process.
type osState struct {
	proc         string // where procfs is mounted
	clock        string // the time namespace, whose clock /proc/PID/stat shows
	procfsIsOurs bool   // the PIDs of procfs are those of getpid(2)
}

func newOSTable() *osTable { return &osTable{osState: osState{proc: "/proc"}} }

// identify asks a pidfd and procfs:
//   - Unique is the inode number of a pidfd, see [unique].
//   - Boot is /proc/sys/kernel/random/boot_id, a random UUID made at each boot
//     (random(4)). Containers on one kernel share it.
//   - Namespace is the inode number of /proc/self/ns/pid. No other PID namespace
//     has the same one while a process of this one lives (namespaces(7)).
//   - Start is the start time in clock ticks since boot, field 22 of
//     /proc/self/stat, an @, and the time namespace. Field 22 does not change
//     during the life of a process, not even over execve(2)
//     (proc_pid_stat(5)). But it is shown by the boot-time clock of the
//     reader's time namespace (time_namespaces(7), Linux 5.6): times of
//     different namespaces are not comparable. Before Linux 5.6 there are no
//     time namespaces, and the part after the @ is empty.
//
// Where procfs is missing, or was mounted for another PID namespace so that its
// PIDs are those of other processes, the fields that need it stay empty.
func (t *osTable) identify() Identity {
	var id Identity
	if fd, err := pidfdOpen(os.Getpid()); err == nil {
		id.Unique = unique(fd)
		unix.Close(fd)
	}
	if b, err := readProc(t.proc+"/sys/kernel/random/boot_id", make([]byte, 64)); err == nil {
		id.Boot = token(strings.TrimSpace(string(b)))
	}
	id.Namespace = t.namespace("pid")
	t.clock = t.namespace("time")
	t.procfsIsOurs = t.procfsMatchesNamespace()
	if ticks := t.ownStart(); ticks != "" {
		id.Start = ticks + "@" + t.clock
	}
	return id
}

// probe compares Unique where both sides have it, otherwise the start times.
func (t *osTable) probe(id Identity) (State, string) {
	if id.Unique != "" {
		if state, why := t.probeUnique(id); state != Unknown {
			return state, why
		}
	}
	return t.probeStart(id)
}

// probeUnique asks a pidfd, which knows both which process it is for and whether
// that still runs. It needs no procfs and no permission. Unknown means that the
// kernel or a sandbox does not answer.
//
// Unique is good for all PID namespaces of a kernel: two values that differ are
// two processes, wherever they run. But there is no way to look up a process by
// it that is not in this namespace or one below, so that nothing follows from
// it for a process of another namespace.
func (t *osTable) probeUnique(id Identity) (State, string) {
	fd, err := pidfdOpen(id.PID)
	if err == unix.ESRCH {
		return Dead, reason.None
	}
	if err != nil {
		return Unknown, reason.Hidden
	}
	defer unix.Close(fd)
	switch now := unique(fd); {
	case now == "":
		return Unknown, reason.Hidden
	case now != id.Unique:
		return Dead, reason.Reused
	case hasEnded(fd):
		return Dead, reason.Zombie
	}
	// Only for the words: ps shows such a process as defunct.
	if s, err := t.stat(id.PID); err == nil && s.zombie() {
		return Alive, reason.Thread
	}
	return Alive, reason.Runs
}

// probeStart reads the start time, and asks the kernel about the process only if
// that does not settle the matter.
func (t *osTable) probeStart(id Identity) (State, string) {
	s, err := t.stat(id.PID)
	if err != nil {
		switch kernelState(id.PID) {
		case ended:
			return Dead, reason.Zombie
		case none:
			return Dead, reason.None
		}
		return Unknown, reason.Hidden
	}

	ticks, clock, ok := strings.Cut(id.Start, "@")
	comparable := ok && clock == t.clock
	if comparable && ticks != s.start {
		return Dead, reason.Reused
	}
	why := reason.Runs
	if s.zombie() {
		// The first thread has ended. The process has, too, unless another
		// thread is left. The number of threads includes the first one, and
		// others that have ended but are not yet released, so it counts only
		// where there is no pidfd. It is 0 if the first thread was released
		// while we read: then another one, which executes a program, may have
		// taken its place.
		switch kernelState(id.PID) {
		case ended:
			return Dead, reason.Zombie
		case none:
			return Dead, reason.None // reaped just now
		case exists:
			if s.threads == "1" {
				return Dead, reason.Zombie
			}
		}
		why = reason.Thread
	}
	switch {
	case id.Start == "":
		return Unknown, reason.NoStart
	case !comparable:
		return Unknown, reason.Clock
	}
	return Alive, why
}
