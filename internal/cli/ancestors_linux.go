package cli

import (
	"bytes"
	"os"
	"strconv"
)

// ancestors returns the parent of this process, its parent, and so on, as far as
// can be seen.
func ancestors() (pids []int) {
	for pid := os.Getppid(); pid > 0 && len(pids) < 1000; {
		pids = append(pids, pid)
		stat, err := os.ReadFile("/proc/" + itoa(pid) + "/stat")
		if err != nil {
			break
		}
		// The name, in parentheses, may have anything in it: see proc_pid_stat(5).
		fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
		if len(fields) < 2 {
			break
		}
		pid, _ = strconv.Atoi(string(fields[1]))
	}
	return pids
}
