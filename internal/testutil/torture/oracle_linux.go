package main

import (
	"os"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The oracle is a file that all processes have mapped: one word that says who
// owns the directory, and a row for every worker that ever ran.
//
// A worker writes its number into the word after TryLock returned true, and
// takes it out before it calls Unlock; meanwhile it goes on stamping its row
// with the time. To find another's number there means: two owners, if that one
// is alive; and if it was killed, nothing yet. Which of the two it is cannot be
// seen at that moment, for a kill may be on its way. So the finder, who keeps
// the lock, waits until one of these has happened:
//
//   - The other takes its number out: it was alive after the finder acquired.
//   - The parent reports the other killed and reaped. Then it was alive after
//     the finder acquired if its last stamp is later than that, or if the
//     parent only began to kill it later than that.
//
// Otherwise it did nothing after the finder acquired, and nobody can tell it
// from one that was killed before; the finder takes its place. The times are of
// CLOCK_MONOTONIC, which all processes share. A stamp is made after its time
// was read and the finder's time is read after TryLock returned, so that an
// overlap is never invented. A process that is killed after TryLock returned
// true and before it could write its number has done nothing as an owner, and
// the oracle knows nothing of it.
type oracle struct {
	mem  []byte
	head *head
	rows []row
}

// head and row are what is in the file. All of it starts as zero.
type head struct {
	owner      atomic.Uint64 // number of the worker, or 0
	last       atomic.Int64  // when the lock was last acquired
	stop       atomic.Uint32
	acquired   atomic.Uint64
	recovered  atomic.Uint64 // acquisitions that found the number of a dead one
	refused    atomic.Uint64
	violations atomic.Uint64
	errors     atomic.Uint64
	shared     atomic.Uint64     // acquisitions for reading
	reading    [64]atomic.Uint64 // number of the worker that reads in each place, or 0
}

type row struct {
	stamp  atomic.Int64 // when it was last seen to be owner
	doomed atomic.Int64 // when the parent began to kill it
	dead   atomic.Uint32
	_      [44]byte // a cache line each
}

const (
	headSize = 4096
	rowSize  = int(unsafe.Sizeof(row{}))
)

// openOracle maps the file, which has been made large enough for its rows.
func openOracle(f *os.File) (*oracle, error) {
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	mem, err := unix.Mmap(int(f.Fd()), 0, int(fi.Size()), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, os.NewSyscallError("mmap", err)
	}
	n := (len(mem) - headSize) / rowSize
	return &oracle{
		mem:  mem,
		head: (*head)(unsafe.Pointer(&mem[0])),
		rows: unsafe.Slice((*row)(unsafe.Pointer(&mem[headSize])), n),
	}, nil
}

func (o *oracle) close() { _ = unix.Munmap(o.mem) }

// monotonic returns nanoseconds of a clock that all processes share.
func monotonic() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic(err)
	}
	return ts.Nano()
}

// enter says that worker me acquired the lock, and has not called Unlock. It
// returns a description of what is wrong, or "".
func (o *oracle) enter(me uint64) string {
	since := monotonic()
	o.rows[me].stamp.Store(since)
	wrong, recovered := "", false
	var found uint64 // whose number was there
	for deadline := time.Now().Add(30 * time.Second); !o.head.owner.CompareAndSwap(0, me); {
		other := o.head.owner.Load()
		if found != 0 && found != other || other == 0 {
			wrong = "another owner came or left after we acquired the lock"
		}
		if found = other; other == 0 {
			continue
		}
		r := &o.rows[other]
		if r.dead.Load() == 0 {
			if time.Now().After(deadline) {
				return "another owner is alive, and stays"
			}
			time.Sleep(50 * time.Microsecond)
			o.rows[me].stamp.Store(monotonic())
			continue
		}
		if r.stamp.Load() > since || r.doomed.Load() > since {
			wrong = "another owner was alive after we acquired the lock"
		}
		if recovered = o.head.owner.CompareAndSwap(other, me); recovered {
			break
		}
	}
	if what := o.alone(me, since); what != "" {
		wrong = what
	}
	if found != 0 && !recovered {
		wrong = "another owner came or left after we acquired the lock"
	}
	o.head.last.Store(monotonic())
	o.head.acquired.Add(1)
	if recovered {
		o.head.recovered.Add(1)
	}
	return wrong
}

// still stamps the row, and says what is wrong, or "".
func (o *oracle) still(me uint64) string {
	o.rows[me].stamp.Store(monotonic())
	if o.head.owner.Load() != me {
		return "another owner took our place"
	}
	return ""
}

// leave says that worker me is about to call Unlock.
func (o *oracle) leave(me uint64) string {
	if !o.head.owner.CompareAndSwap(me, 0) {
		return "another owner took our place"
	}
	return ""
}
