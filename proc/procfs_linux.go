package proc

import (
	"bytes"
	"errors"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// namespace returns the N of the link "kind:[N]", the inode number of a
// namespace of this process, or "".
func (t *osTable) namespace(kind string) string {
	link, _ := os.Readlink(t.proc + "/self/ns/" + kind)
	n, _ := strings.CutPrefix(link, kind+":[")
	n, ok := strings.CutSuffix(n, "]")
	if !ok || !digits(n) {
		return ""
	}
	return n
}

// procfsMatchesNamespace reports whether procfs was mounted for the PID
// namespace of this process (pid_namespaces(7), "/proc and PID namespaces"). If
// it was mounted for an ancestor namespace, /proc/self usually has another
// number. Since Linux 4.1 there is certainty: NSpid in /proc/self/status has this
// process's number in each namespace from that of procfs down
// (proc_pid_status(5)). If procfs was mounted for any other namespace, there is
// no /proc/self.
func (t *osTable) procfsMatchesNamespace() bool {
	self, err := os.Readlink(t.proc + "/self")
	if err != nil || self != strconv.Itoa(os.Getpid()) {
		return false
	}
	status, err := os.ReadFile(t.proc + "/self/status") // all of it: a list of groups comes first
	if err != nil {
		return false
	}
	_, numbers, ok := bytes.Cut(status, []byte("\nNSpid:"))
	numbers, _, _ = bytes.Cut(numbers, []byte("\n"))
	return !ok || len(bytes.Fields(numbers)) == 1
}

// ownStart returns the start time of this process in ticks, or "".
//
// Emulators of a processor, such as qemu-user, show a program a /proc/self/stat
// of their own making, with a start time of their own, while everybody else
// reads the kernel's. So the entry of the first thread, which has the same start
// time, must agree.
func (t *osTable) ownStart() string {
	pid := os.Getpid()
	s, err := t.stat(pid)
	if err != nil {
		return ""
	}
	first, err := t.statOfTask(pid)
	if err != nil || first.start != s.start {
		return ""
	}
	return s.start
}

var errOtherProc = errors.New("procfs is missing or belongs to another PID namespace")

// stat reads /proc/PID/stat. Anyone may, unless procfs is mounted with hidepid
// (proc(5)) or a security module forbids it.
func (t *osTable) stat(pid int) (stat, error) {
	return t.readStat(strconv.Itoa(pid) + "/stat")
}

// statOfTask reads /proc/PID/task/PID/stat.
func (t *osTable) statOfTask(pid int) (stat, error) {
	n := strconv.Itoa(pid)
	return t.readStat(n + "/task/" + n + "/stat")
}

func (t *osTable) readStat(name string) (stat, error) {
	if !t.procfsIsOurs {
		return stat{}, errOtherProc
	}
	b, err := readProc(t.proc+"/"+name, make([]byte, 1024)) // the first 22 fields have at most 500 bytes
	if err != nil {
		return stat{}, err
	}
	return parseStat(b)
}

// readProc reads the beginning of a file of procfs into b with a single read(2),
// because the kernel makes the content at that moment. It costs less than an
// os.File.
func readProc(path string, b []byte) ([]byte, error) {
	fd, err := retry(func() (int, error) { return unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0) })
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	n, err := retry(func() (int, error) { return unix.Read(fd, b) })
	if err != nil {
		return nil, err
	}
	return b[:n], nil
}
