package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dirlock/dirlock/fsys"
	"github.com/dirlock/dirlock/fsys/osfs"
	"github.com/dirlock/dirlock/lock"
	"github.com/dirlock/dirlock/proc"
)

// A worker is this program with these in its environment, and the oracle as
// file 3.
const (
	envNumber  = "DIRLOCK_TORTURE_NUMBER"
	envDir     = "DIRLOCK_TORTURE_DIR"
	envBroken  = "DIRLOCK_TORTURE_BROKEN"
	envPlace   = "DIRLOCK_TORTURE_PLACE"
	envReaders = "DIRLOCK_TORTURE_READERS"
	envCrash   = "DIRLOCK_TORTURE_CRASH" // acquire the lock, and die
)

func isWorker() bool { return os.Getenv(envNumber) != "" }

func worker() {
	if err := work(); err != nil {
		fmt.Fprintln(os.Stderr, "worker:", err)
		os.Exit(1)
	}
}

func work() error {
	me, err := strconv.ParseUint(os.Getenv(envNumber), 10, 64)
	if err != nil {
		return err
	}
	// A worker does not outlive its parent.
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return err
	}
	// The killer is not to wait for the CPU, which we take all of.
	if err := unix.Setpriority(unix.PRIO_PROCESS, 0, 5); err != nil {
		return err
	}
	o, err := openOracle(os.NewFile(3, "oracle"))
	if err != nil {
		return err
	}
	var opts []lock.Option
	if os.Getenv(envBroken) != "" {
		opts = append(opts, lock.WithFS(blindFS{osfs.New()}), lock.WithProcesses(allDead{proc.OS()}))
	}
	l := lock.New(os.Getenv(envDir), opts...)

	if os.Getenv(envCrash) != "" {
		if ok, err := l.TryLock(); !ok || err != nil {
			return fmt.Errorf("cannot acquire the lock to die with it: %v, %w", ok, err)
		}
		return unix.Kill(os.Getpid(), unix.SIGKILL)
	}

	said := 0
	say := func(n *atomic.Uint64, what string) {
		n.Add(1)
		if said++; said <= 5 {
			fmt.Fprintf(os.Stderr, "worker %d: %s\n", me, what)
		}
	}
	violation := func(what string) { say(&o.head.violations, "VIOLATION: "+what) }
	failure := func(err error) { say(&o.head.errors, err.Error()) }
	w := &rounds{o: o, l: l, me: me, violation: violation, failure: failure}
	w.place, _ = strconv.Atoi(os.Getenv(envPlace))
	w.readers, _ = strconv.Atoi(os.Getenv(envReaders))
	for o.head.stop.Load() == 0 {
		if rand.IntN(100) < w.readers {
			if !w.read() {
				o.head.refused.Add(1)
			}
			continue
		}
		ok, err := w.tryOrWait()
		if err != nil {
			failure(err)
			continue
		}
		if !ok {
			o.head.refused.Add(1)
			if rand.IntN(4) == 0 {
				time.Sleep(time.Duration(rand.IntN(200)) * time.Microsecond)
			}
			continue
		}
		if what := o.enter(me); what != "" {
			violation(what)
		}
		for range rand.IntN(50) {
			if what := o.still(me); what != "" {
				violation(what)
				break
			}
		}
		if rand.IntN(8) == 0 {
			// Let others find it held, and the killer find it holding.
			time.Sleep(time.Duration(rand.IntN(300)) * time.Microsecond)
			if err := l.Check(); err != nil {
				failure(err)
			}
		}
		if what := o.leave(me); what != "" {
			violation(what)
		}
		if err := l.Unlock(); err != nil {
			failure(err)
		}
	}
	return nil
}

// allDead and blindFS make the lock a broken one: nobody is alive, and the
// kernel does not vouch for anybody.
type allDead struct{ proc.Table }

func (allDead) Probe(proc.Identity) (proc.State, string) { return proc.Dead, "broken on purpose" }

type blindFS struct{ fsys.FS }

func (f blindFS) Dir(name string) (fsys.Dir, error) {
	d, err := f.FS.Dir(name)
	return blindDir{d}, err
}

type blindDir struct{ fsys.Dir }

func (d blindDir) Read(name string) (fsys.Snapshot, error) {
	s, err := d.Dir.Read(name)
	s.Witness = fsys.NoWitness
	return s, err
}
