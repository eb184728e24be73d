package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/dirlock/dirlock/lock"
	"github.com/dirlock/dirlock/proc"
)

// workers returns the processes of a command that runs under a lock, as far as can
// be seen: the children of dirlock; and if dirlock was killed, those that keep the
// lock.
func workers(level lock.Level) (pids []int) {
	o := level.Owner
	self, err := proc.OS().Self()
	ours := err == nil && self.Boot == o.Boot && self.Namespace == o.Namespace && o.Namespace != ""
	if level.State != proc.Alive || !ours || !strings.HasPrefix(o.Command, runName) {
		return nil
	}
	if state, _ := proc.OS().Probe(o.Identity); state == proc.Dead {
		return openersOf(level.Path)
	}
	for _, pid := range childrenOfProcess(o.PID) {
		name, err := os.ReadFile("/proc/" + itoa(pid) + "/comm")
		if err == nil && string(bytes.TrimSpace(name)) != decoyName {
			pids = append(pids, pid)
		}
	}
	return pids
}

// childrenOfProcess returns the children of a process: nothing where the kernel
// does not tell (proc_tid_children(5)).
func childrenOfProcess(pid int) (pids []int) {
	files, _ := filepath.Glob("/proc/" + itoa(pid) + "/task/*/children")
	for _, file := range files {
		text, _ := os.ReadFile(file)
		for _, field := range bytes.Fields(text) {
			if pid, err := strconv.Atoi(string(field)); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// openersOf returns the processes that have a file open, of those that this user
// may ask about.
func openersOf(path string) (pids []int) {
	file, err := os.Stat(path)
	if err != nil {
		return nil
	}
	dirs, _ := filepath.Glob("/proc/[0-9]*/fd")
	for _, dir := range dirs {
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(dir)))
		if pid != os.Getpid() && hasOpen(dir, file) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// hasOpen tells whether a file is one of those in a directory like /proc/PID/fd.
func hasOpen(dir string, file os.FileInfo) bool {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if info, err := os.Stat(filepath.Join(dir, e.Name())); err == nil && os.SameFile(info, file) {
			return true
		}
	}
	return false
}
