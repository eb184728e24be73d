//go:build linux

// Command waitbench measures how a waiter gets the lock, beside one that is
// blocked in flock(2), and prints Markdown tables.
//
//	go run ./internal/testutil/waitbench [-run handoff,kill,idle,contend] [-dirs /var/tmp,/dev/shm]
//
// Every waiter and every holder is a process of its own. Times between
// processes are differences of CLOCK_MONOTONIC, by way of memory that they
// share. The whole takes about three minutes.
package main

import (
	"flag"
	"fmt"
	"io"
	"log"
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

	"github.com/dirlock/dirlock/lock"
	"golang.org/x/sys/unix"
)

var (
	parts    = flag.String("run", "handoff,kill,idle,contend", "what to measure")
	dirs     = flag.String("dirs", "/var/tmp,/dev/shm", "directories to measure in, one for each file system")
	handoffs = flag.Int("handoffs", 300, "how many hand-offs")
	held     = flag.Duration("held", 5*time.Millisecond, "how long the holder sleeps before a hand-off")
	work     = flag.Bool("work", false, "the holder works, and does not sleep, before a hand-off")
	kills    = flag.Int("kills", 100, "how many holders to kill")
	seconds  = flag.Int("seconds", 10, "how long the idle waiters wait")
	loop     = flag.Duration("loop", 5*time.Second, "how long the processes contend")
	counts   = flag.String("processes", "2,8,32", "how many processes contend")
	child    = flag.String("child", "", "run one process of a measurement")
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("waitbench: ")
	flag.Parse()
	if *child != "" {
		runChild(*child, flag.Args())
		return
	}
	for _, part := range strings.Split(*parts, ",") {
		switch part {
		case "handoff":
			each(handoffTable, "### From release to the next owner\n\n| file system | lock | hand-offs | median | 90 % | 99 % | longest |\n|---|---|--:|--:|--:|--:|--:|")
		case "kill":
			each(killTable, "### From SIGKILL of the holder to the next owner\n\n| file system | lock | the dead is | kills | median | 90 % | longest |\n|---|---|---|--:|--:|--:|--:|")
		case "idle":
			each(idleTable, "### CPU time of waiters whose lock is not released\n\n| file system | events | processes | time | CPU time in all | share of one core |\n|---|---|--:|--:|--:|--:|")
		case "contend":
			each(contendTable, "### Processes that lock and unlock in a loop\n\n| file system | lock | processes | held for | acquisitions/s | longest wait | least share |\n|---|---|--:|--:|--:|--:|--:|")
		default:
			log.Fatalf("nothing is called %q", part)
		}
	}
}

// each prints a table about a new directory on every file system.
func each(table func(name string, b *bench), head string) {
	fmt.Println(head)
	for _, parent := range strings.Split(*dirs, ",") {
		dir, err := os.MkdirTemp(parent, "waitbench-")
		check(err)
		b := &bench{dir: dir, shared: share(filepath.Join(dir, "shared"), true)}
		check(os.WriteFile(filepath.Join(dir, "flock"), nil, 0o644))
		check(os.Mkdir(filepath.Join(dir, "lock"), 0o755))
		table(fsName(dir), b)
		check(os.RemoveAll(dir))
	}
	fmt.Println()
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

// The locks that are compared.

type locker interface {
	Lock() error
	Unlock() error
}

const (
	kindFlock   = "flock(2)"
	kindDirlock = "dirlock"
	kindPolling = "dirlock, events off"
)

func newLock(kind, dir string) locker {
	switch kind {
	case kindFlock:
		fd, err := unix.Open(filepath.Join(dir, "flock"), unix.O_RDWR|unix.O_CLOEXEC, 0)
		check(err)
		return flock(fd)
	case kindPolling:
		return lock.New(filepath.Join(dir, "lock"), lock.WithoutEvents())
	}
	return lock.New(filepath.Join(dir, "lock"))
}

type flock int

func (fd flock) Unlock() error { return unix.Flock(int(fd), unix.LOCK_UN) }
func (fd flock) Lock() error {
	for {
		if err := unix.Flock(int(fd), unix.LOCK_EX); err != unix.EINTR {
			return err
		}
	}
}

// bench is what the processes of a measurement have in common.
type bench struct {
	dir string
	*shared
}

// shared is memory that all processes see.
type shared struct {
	ready  atomic.Int64
	freed  atomic.Int64
	values [4096]atomic.Int64
}

func share(path string, create bool) *shared {
	size := int(unsafe.Sizeof(shared{}))
	if create {
		check(os.WriteFile(path, make([]byte, size), 0o644))
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	check(err)
	defer f.Close()
	b, err := unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	check(err)
	return (*shared)(unsafe.Pointer(unsafe.SliceData(b)))
}

// process is a child that runs one part of a measurement.
type process struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out io.ReadCloser
}

func (b *bench) start(part string, args ...string) *process {
	exe, err := os.Executable()
	check(err)
	p := &process{cmd: exec.Command(exe, append([]string{"-child", part, "-seconds", strconv.Itoa(*seconds), "-loop", loop.String(),
		"-held", held.String(), "-work=" + strconv.FormatBool(*work), "--", b.dir}, args...)...)}
	p.cmd.Stderr = os.Stderr
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	p.in, err = p.cmd.StdinPipe()
	check(err)
	p.out, err = p.cmd.StdoutPipe()
	check(err)
	check(p.cmd.Start())
	return p
}

// said waits for the child to say something.
func (p *process) said() {
	_, err := io.ReadFull(p.out, make([]byte, 1))
	check(err)
}

func (p *process) say() {
	_, err := p.in.Write([]byte{0})
	check(err)
}

// The child's side of the same.
func say() {
	_, err := os.Stdout.Write([]byte{0})
	check(err)
}

func listen() bool {
	_, err := io.ReadFull(os.Stdin, make([]byte, 1))
	return err == nil
}

func runChild(part string, args []string) {
	b := &bench{dir: args[0], shared: share(filepath.Join(args[0], "shared"), false)}
	args = args[1:]
	switch part {
	case "handoff":
		b.handoff(args[0], number(args[1]), number(args[2]))
	case "hold":
		check(newLock(args[0], b.dir).Lock())
		say()
		listen()
	case "wait":
		for l := newLock(args[0], b.dir); listen(); {
			b.ready.Add(1)
			check(l.Lock())
			b.freed.Store(now())
			check(l.Unlock())
			say()
		}
	case "idle":
		b.idle(args[0], number(args[1]))
	case "contend":
		b.contend(args[0], number(args[1]), time.Duration(number(args[2])))
	}
}

const asleep = 5 * time.Millisecond // after which a waiter surely waits

// Hand-offs: two processes take turns. One waits, the other releases.

func handoffTable(name string, b *bench) {
	kinds := []string{kindFlock, kindDirlock, kindPolling}
	times := make([][]time.Duration, len(kinds))
	for range 4 { // the kinds alternate, so that a busy moment hits all of them
		for k, kind := range kinds {
			n := *handoffs / 4
			b.ready.Store(-1)
			ps := []*process{b.start("handoff", kind, "0", strconv.Itoa(n)), b.start("handoff", kind, "1", strconv.Itoa(n))}
			for _, p := range ps {
				check(p.cmd.Wait())
			}
			for i := range n {
				times[k] = append(times[k], time.Duration(b.values[i].Load()))
			}
		}
	}
	for k, kind := range kinds {
		t := times[k]
		fmt.Printf("| %s | %s | %d | %v | %v | %v | %v |\n", name, kind, len(t), quantile(t, .5), quantile(t, .9), quantile(t, .99), quantile(t, 1))
	}
}

func (b *bench) handoff(kind string, rank, n int) {
	l := newLock(kind, b.dir)
	if rank == 0 {
		check(l.Lock())
		b.ready.Store(0) // the other one may wait
	} else {
		for b.ready.Load() != 0 {
			time.Sleep(time.Millisecond)
		}
	}
	for i := range n {
		if i%2 != rank {
			b.ready.Store(int64(i + 1))
			check(l.Lock())
			b.values[i].Store(now() - b.freed.Load())
			continue
		}
		for b.ready.Load() != int64(i+1) {
			time.Sleep(time.Millisecond)
		}
		if *work {
			spin(*held)
		} else {
			time.Sleep(*held)
		}
		b.values[i].Store(0)
		b.freed.Store(now())
		check(l.Unlock())
		for b.values[i].Load() == 0 { // or we would take it back
			time.Sleep(time.Millisecond)
		}
	}
	if n%2 == rank {
		check(l.Unlock())
	}
}

// Kills: a process holds the lock, another one waits, and we kill the first.

func killTable(name string, b *bench) {
	for _, kind := range []string{kindFlock, kindDirlock} {
		for _, reap := range []bool{true, false} {
			var times []time.Duration
			b.ready.Store(0)
			waiter := b.start("wait", kind)
			for i := range *kills {
				holder := b.start("hold", kind)
				holder.said()
				waiter.say()
				for b.ready.Load() != int64(i+1) {
					time.Sleep(time.Millisecond)
				}
				time.Sleep(asleep)
				killed := now()
				check(holder.cmd.Process.Kill())
				if reap {
					_ = holder.cmd.Wait()
				}
				waiter.said()
				times = append(times, time.Duration(b.freed.Load()-killed))
				if !reap {
					_ = holder.cmd.Wait()
				}
			}
			check(waiter.in.Close())
			check(waiter.cmd.Wait())
			state := "reaped"
			if !reap {
				state = "a zombie"
			}
			fmt.Printf("| %s | %s | %s | %d | %v | %v | %v |\n", name, kind, state, len(times), quantile(times, .5), quantile(times, .9), quantile(times, 1))
		}
	}
}

// Idle waiters: what does waiting cost?

func idleTable(name string, b *bench) {
	for _, kind := range []string{kindDirlock, kindPolling} {
		for _, n := range []int{1, 100} {
			holder := b.start("hold", kind)
			holder.said()
			var ps []*process
			for i := range n {
				ps = append(ps, b.start("idle", kind, strconv.Itoa(i)))
			}
			for _, p := range ps {
				p.said()
			}
			for _, p := range ps {
				p.say()
			}
			var cpu time.Duration
			for i, p := range ps {
				check(p.cmd.Wait())
				cpu += time.Duration(b.values[i].Load())
			}
			check(holder.in.Close())
			check(holder.cmd.Wait())
			// It ended without Unlock: let the next one recover before it is measured.
			l := newLock(kind, b.dir)
			check(l.Lock())
			check(l.Unlock())
			events := "on"
			if kind == kindPolling {
				events = "off"
			}
			wall := time.Duration(*seconds) * time.Second
			fmt.Printf("| %s | %s | %d | %v | %v | %.2f %% |\n", name, events, n, wall, cpu.Round(10*time.Microsecond), 100*float64(cpu)/float64(wall))
		}
	}
}

func (b *bench) idle(kind string, rank int) {
	l := newLock(kind, b.dir)
	say()
	listen()
	before := cpuTime()
	go func() {
		_ = l.Lock()
		log.Fatal("the idle waiter got the lock")
	}()
	time.Sleep(time.Duration(*seconds) * time.Second)
	b.values[rank].Store(int64(cpuTime() - before))
	os.Exit(0)
}

func cpuTime() time.Duration {
	var u unix.Rusage
	check(unix.Getrusage(unix.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// Contention: processes lock and unlock in a tight loop.

func contendTable(name string, b *bench) {
	type load struct {
		n    int
		hold time.Duration
	}
	loads := []load{{1, 0}}
	for _, n := range strings.Split(*counts, ",") {
		loads = append(loads, load{number(n), 0})
	}
	loads = append(loads, load{2, 5 * time.Millisecond}, load{8, 5 * time.Millisecond})
	for _, load := range loads {
		for _, kind := range []string{kindFlock, kindDirlock, kindPolling} {
			b.ready.Store(0)
			var ps []*process
			for i := range load.n {
				ps = append(ps, b.start("contend", kind, strconv.Itoa(i), strconv.FormatInt(int64(load.hold), 10)))
			}
			for _, p := range ps {
				p.said()
			}
			b.ready.Store(now() + int64(50*time.Millisecond))
			for _, p := range ps {
				p.say()
			}
			var total, least, longest int64 = 0, 1 << 62, 0
			for i, p := range ps {
				check(p.cmd.Wait())
				got := b.values[2*i].Load()
				total += got
				least = min(least, got)
				longest = max(longest, b.values[2*i+1].Load())
			}
			fmt.Printf("| %s | %s | %d | %v | %.0f | %v | %.0f %% |\n", name, kind, load.n, load.hold,
				float64(total)/loop.Seconds(), time.Duration(longest).Round(10*time.Microsecond),
				100*float64(least)*float64(load.n)/float64(max(total, 1)))
		}
	}
}

func (b *bench) contend(kind string, rank int, hold time.Duration) {
	l := newLock(kind, b.dir)
	say()
	listen()
	time.Sleep(time.Duration(b.ready.Load() - now()))
	end := b.ready.Load() + int64(*loop)
	var got, longest int64
	for before := now(); before < end; before = now() {
		check(l.Lock())
		longest = max(longest, min(now(), end)-before)
		if now() < end {
			got++
		}
		spin(hold) // It works, so that it is fast when it wants the lock again.
		check(l.Unlock())
	}
	b.values[2*rank].Store(got)
	b.values[2*rank+1].Store(longest)
}

func spin(d time.Duration) {
	for until := now() + int64(d); now() < until; {
	}
}

func quantile(t []time.Duration, q float64) time.Duration {
	t = slices.Sorted(slices.Values(t))
	return t[int(q*float64(len(t)-1))].Round(time.Microsecond)
}

// now reads CLOCK_MONOTONIC, which is the same for all processes.
func now() int64 {
	var t unix.Timespec
	check(unix.ClockGettime(unix.CLOCK_MONOTONIC, &t))
	return t.Nano()
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	check(err)
	return n
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
