package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// place is a new directory on one file system, and memory that all processes of
// a measurement see.
type place struct {
	fs  string // the file system's name
	dir string // what is locked
	top string
	*shared
	mapped []byte // shared, as bytes
}

// shared is that memory.
type shared struct {
	start  atomic.Int64
	freed  atomic.Int64
	owner  atomic.Int64 // the oracle: who is inside
	gained atomic.Int64
	broken atomic.Int64
	failed atomic.Int64
	values [8192]atomic.Int64
	counts [2048]atomic.Int64
	dying  [1 << 20]atomic.Bool // workers that were, or are about to be, killed
}

func newPlace(parent string) *place {
	top, err := os.MkdirTemp(parent, "bench-")
	check(err)
	check(os.Mkdir(filepath.Join(top, "dir"), 0o755))
	return openPlace(top, true)
}

func openPlace(top string, create bool) *place {
	path, size := filepath.Join(top, "shared"), int(unsafe.Sizeof(shared{}))
	if create {
		check(os.WriteFile(path, nil, 0o644))
		check(os.Truncate(path, int64(size)))
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	check(err)
	defer f.Close()
	b, err := unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	check(err)
	return &place{
		fs: fsName(top), dir: filepath.Join(top, "dir"), top: top,
		shared: (*shared)(unsafe.Pointer(unsafe.SliceData(b))), mapped: b,
	}
}

func (p *place) remove() {
	check(unix.Munmap(p.mapped)) // or the file system could not be unmounted
	check(os.RemoveAll(p.top))
}

func fsName(dir string) string {
	var st unix.Statfs_t
	check(unix.Statfs(dir, &st))
	switch uint32(st.Type) {
	case unix.EXT4_SUPER_MAGIC:
		return "ext4"
	case unix.TMPFS_MAGIC:
		return "tmpfs"
	}
	return fmt.Sprintf("%#x", uint32(st.Type))
}

// worker is another process, which runs one of workers.
type worker struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out io.ReadCloser
}

// workers are what other processes do. They find their arguments in args.
var workers = map[string]func(p *place, args []string){}

func (p *place) worker(name string, args ...any) *worker {
	exe := p.program(args)
	text := []string{"-worker", name, p.top}
	for _, a := range args {
		text = append(text, fmt.Sprint(a))
	}
	var err error
	w := &worker{cmd: exec.Command(exe, text...)}
	w.cmd.Stderr = os.Stderr
	w.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	w.in, err = w.cmd.StdinPipe()
	check(err)
	w.out, err = w.cmd.StdoutPipe()
	check(err)
	check(w.cmd.Start())
	return w
}

// answer waits for the worker to say something, and say tells it to go on.
func (w *worker) answer() {
	_, err := io.ReadFull(w.out, make([]byte, 1))
	check(err)
}

func (w *worker) say() {
	_, err := w.in.Write([]byte{0})
	check(err)
}

func (w *worker) wait() { check(w.cmd.Wait()) }

// The worker's side of the same.
func say() {
	_, err := os.Stdout.Write([]byte{0})
	check(err)
}

func listen() bool {
	_, err := io.ReadFull(os.Stdin, make([]byte, 1))
	return err == nil
}

// now reads CLOCK_MONOTONIC, which is the same for all processes.
func now() int64 {
	var t unix.Timespec
	check(unix.ClockGettime(unix.CLOCK_MONOTONIC, &t))
	return t.Nano()
}

func number(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	check(err)
	return n
}

// quantile returns the value below which the part q of the values lies.
func quantile[T int64 | float64 | time.Duration](values []T, q float64) T {
	if len(values) == 0 {
		return 0
	}
	values = slices.Sorted(slices.Values(values))
	return values[int(q*float64(len(values)-1))]
}

// home is the directory that one contender locks.
func (p *place) home(name string) string {
	dir := filepath.Join(p.dir, strings.NewReplacer("/", "-", " ", "-").Replace(name))
	check(os.MkdirAll(dir, 0o755))
	return dir
}

func (p *place) open(name string) Lock { return contender(name).Open(p.home(name)) }

// clear removes what killed processes have left.
func (p *place) clear(name string) error { return os.RemoveAll(p.home(name)) }

// program is the one whose process measures what the arguments name.
func (p *place) program(args []any) string {
	for _, a := range args {
		if name, ok := a.(string); ok && builds[name] != "" {
			return builds[name]
		}
	}
	exe, err := os.Executable()
	check(err)
	return exe
}

// builds are programs like this one, with another version of dirlock, by the
// names of their contenders.
var builds = map[string]string{}

// addBuilds replaces dirlock by other builds of it.
func addBuilds(list string) {
	if list == "" {
		return
	}
	contenders = contenders[:1]
	for _, item := range strings.Split(list, ",") {
		name, program, ok := strings.Cut(item, "=")
		if !ok {
			check(fmt.Errorf("-beside %s: not NAME=PROGRAM", item))
		}
		c := contender("dirlock")
		c.Name = "dirlock@" + name
		builds[c.Name] = program
		contenders = append(contenders, c)
	}
}
