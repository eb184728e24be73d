//go:build unix

package cli

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// ancestorsByPS is ancestors where there is no better way than to ask ps(1).
func ancestorsByPS() (pids []int) {
	out, _ := exec.Command("ps", "-A", "-o", "pid=,ppid=").Output()
	parents := map[int]int{}
	for line := range strings.Lines(string(out)) {
		var pid, parent int
		if _, err := fmt.Sscan(line, &pid, &parent); err == nil {
			parents[pid] = parent
		}
	}
	for pid := os.Getppid(); pid > 0 && len(pids) < 1000; pid = parents[pid] {
		pids = append(pids, pid)
	}
	return pids
}
