package lock_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dirlock/dirlock/fsys"
	"github.com/dirlock/dirlock/fsys/memfs"
	"github.com/dirlock/dirlock/lock"
	"github.com/dirlock/dirlock/proc"
	"github.com/dirlock/dirlock/proc/proctest"
)

// waitDisk is a disk that counts what its users do to the level files. Each
// process has a queue of its own.
type waitDisk struct {
	*memfs.Disk
	mu      sync.Mutex
	reads   int
	watches int
	onRead  func() // without mu
	onWatch func() error
}

func newWaitDisk(options ...memfs.Option) *waitDisk {
	options = append([]memfs.Option{memfs.Witness(fsys.NoWitness)}, options...)
	d := &waitDisk{Disk: memfs.New(dirPath, options...)}
	d.Before(func(op memfs.Op) error {
		d.mu.Lock()
		onRead, onWatch := d.onRead, d.onWatch
		switch op.Name {
		case "read":
			d.reads++
		case "watch":
			d.watches++
		}
		d.mu.Unlock()
		switch {
		case op.Name == "read" && onRead != nil:
			onRead()
		case op.Name == "watch" && onWatch != nil:
			return onWatch()
		}
		return nil
	})
	return d
}

func (d *waitDisk) looks() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.reads
}

// idle checks that waiters have given back all that they took.
func (d *waitDisk) idle(t *testing.T) {
	t.Helper()
	u := d.Usage()
	require.Zero(t, u.Watches)
	require.Zero(t, u.Prepared)
}

// waitLog counts the messages of a lock.
type waitLog struct {
	mu       sync.Mutex
	messages []string
}

func (w *waitLog) Enabled(context.Context, slog.Level) bool { return true }
func (w *waitLog) WithAttrs([]slog.Attr) slog.Handler       { return w }
func (w *waitLog) WithGroup(string) slog.Handler            { return w }
func (w *waitLog) Handle(_ context.Context, r slog.Record) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "err" {
			r.Message += ": " + a.Value.String()
		}
		return true
	})
	w.messages = append(w.messages, r.Level.String()+" "+r.Message)
	return nil
}

// count returns how many messages begin so.
func (w *waitLog) count(prefix string) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, m := range w.messages {
		if strings.HasPrefix(m, prefix) {
			n++
		}
	}
	return n
}

func (w *waitLog) polling() (found []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, m := range w.messages {
		if strings.HasPrefix(m, "DEBUG polling") {
			found = append(found, m)
		}
	}
	return found
}

// process returns the lock as a process of its own has it.
func (d *waitDisk) process(p proc.Table, opts ...lock.Option) *lock.DirLock {
	return lock.New(dirPath, append([]lock.Option{lock.WithFS(d.As(p)), lock.WithProcesses(p)}, opts...)...)
}

// waitFor starts a Lock, and returns what tells how long it took.
func waitFor(t *testing.T, l *lock.DirLock) (took func() time.Duration) {
	t.Helper()
	c := make(chan time.Duration, 1)
	start := time.Now()
	go func() {
		assert.NoError(t, l.Lock())
		c <- time.Since(start)
	}()
	synctest.Wait()
	require.Empty(t, c, "the lock is held, and Lock does not wait")
	return func() time.Duration { return <-c }
}

func TestLockWakesAtRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk, procs := newWaitDisk(), proctest.NewFake()
		a, b := disk.process(procs.Start("a")), disk.process(procs.Start("b"))
		require.NoError(t, a.Lock())
		took := waitFor(t, b)
		require.NoError(t, a.Unlock())
		require.Zero(t, took(), "no beat of any kind")
		require.NoError(t, b.Unlock())
		disk.idle(t)
	})
}

// Who is woken by a release has its file ready, and does not look first.
func TestLockIsReadyForTheRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk, procs := newWaitDisk(), proctest.NewFake()
		a, b := disk.process(procs.Start("a")), disk.process(procs.Start("b"))
		require.NoError(t, a.Lock())
		took := waitFor(t, b)
		require.Equal(t, 1, disk.Usage().Prepared)
		looks := disk.looks()
		require.NoError(t, a.Unlock())
		require.Zero(t, took())
		require.Equal(t, looks, disk.looks())
		require.Zero(t, disk.Usage().Prepared)
		require.NoError(t, b.Unlock())
	})
}

// What was made ready serves the next time, if somebody else was faster, and a
// recovery as well.
func TestLockIsReadyAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk, procs := newWaitDisk(memfs.LateEvents(time.Millisecond)), proctest.NewFake()
		a, c := disk.process(procs.Start("a")), procs.Start("c")
		b := disk.process(procs.Start("b"))
		require.NoError(t, a.Lock())
		took := waitFor(t, b)
		require.NoError(t, a.Unlock())
		require.NoError(t, disk.process(c).Lock())
		time.Sleep(time.Second)
		require.Equal(t, 1, disk.Usage().Prepared)
		c.Kill()
		require.Less(t, took(), time.Second+10*time.Millisecond)
		require.Zero(t, disk.Usage().Prepared)
		require.NoError(t, b.Check())
		require.NoError(t, b.Unlock())
		disk.idle(t)
		require.Empty(t, disk.Names(dirPath))
	})
}

func TestLockWakesAtDeath(t *testing.T) {
	for name, end := range map[string]func(*proctest.FakeProcess){
		"reaped": (*proctest.FakeProcess).Kill,
		"zombie": (*proctest.FakeProcess).Zombie,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				disk, procs := newWaitDisk(), proctest.NewFake()
				p := procs.Start("a")
				a, b := disk.process(p), disk.process(procs.Start("b"))
				require.NoError(t, a.Lock())
				took := waitFor(t, b)
				end(p)
				require.Zero(t, took())
				require.NoError(t, b.Unlock())
				disk.idle(t)
			})
		})
	}
}

// A release between the look and the start of the watch is no event.
func TestLockReleasedBeforeTheWatch(t *testing.T) {
	for _, next := range []string{"free", "held by another"} {
		t.Run(next, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				disk, procs := newWaitDisk(), proctest.NewFake()
				a, b, c := disk.process(procs.Start("a")), disk.process(procs.Start("b")), disk.process(procs.Start("c"))
				require.NoError(t, a.Lock())
				disk.onWatch = func() error {
					disk.onWatch = nil
					assert.NoError(t, a.Unlock())
					if next != "free" {
						assert.NoError(t, c.Lock())
						time.AfterFunc(time.Minute, func() { assert.NoError(t, c.Unlock()) })
					}
					return nil
				}
				start := time.Now()
				require.NoError(t, b.Lock())
				if next == "free" {
					require.Zero(t, time.Since(start))
				} else {
					require.Equal(t, time.Minute, time.Since(start))
				}
			})
		})
	}
}

// A waiter of the handle that holds the lock is woken as well as any other.
func TestLockWaitsForItsOwnHandle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := newWaitDisk()
		l := disk.process(proctest.NewFake().Start("a"))
		pauses := 0
		lock.BeforePause(l, func(time.Duration) { pauses++ })
		require.NoError(t, l.Lock())
		took := waitFor(t, l)
		time.Sleep(10 * time.Second)
		require.NoError(t, l.Unlock())
		require.Equal(t, 10*time.Second, took())
		require.NoError(t, l.Unlock())
		require.Less(t, pauses, 10)
	})
}

// deaf is a process that never learns of another's death by itself.
type deaf struct{ *proctest.FakeProcess }

func (deaf) Notify(proc.Identity) (<-chan struct{}, func(), error) {
	return make(chan struct{}), func() {}, nil
}

// No event is needed: one that is lost costs time and nothing else.
func TestLockSurvivesLostEvents(t *testing.T) {
	for name, free := range map[string]func(*testing.T, *lock.DirLock, *proctest.FakeProcess){
		"release": func(t *testing.T, a *lock.DirLock, _ *proctest.FakeProcess) { require.NoError(t, a.Unlock()) },
		"death":   func(t *testing.T, a *lock.DirLock, p *proctest.FakeProcess) { p.Kill() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				disk, procs := newWaitDisk(memfs.LostEvents(true)), proctest.NewFake()
				p := procs.Start("a")
				a, b := disk.process(p), disk.process(deaf{procs.Start("b")})
				require.NoError(t, a.Lock())
				took := waitFor(t, b)
				time.Sleep(time.Hour)
				free(t, a, p)
				after := took() - time.Hour
				require.LessOrEqual(t, after, lock.SafetyBeat)
				require.NoError(t, b.Unlock())
			})
		})
	}
}

func TestLockPollsWithoutEvents(t *testing.T) {
	const longest = 100 * time.Millisecond
	for _, test := range []struct {
		name   string
		events error
		opts   []lock.Option
		why    string
	}{
		{"switched off", nil, []lock.Option{lock.WithoutEvents()}, "switched off"},
		{"unsupported", errors.ErrUnsupported, nil, "unsupported"},
		{"limit reached", fs.ErrInvalid, nil, "invalid"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				disk, procs, log := newWaitDisk(), proctest.NewFake(), &waitLog{}
				disk.onWatch = func() error { return test.events }
				a, c := disk.process(procs.Start("a")), disk.process(procs.Start("c"))
				p := procs.Start("b")
				b := disk.process(p, append(test.opts, lock.WithLogger(slog.New(log)))...)
				require.NoError(t, a.Lock())
				took := waitFor(t, b)

				time.Sleep(time.Minute)
				require.NoError(t, a.Unlock())
				require.NoError(t, c.Lock())
				before := disk.looks()
				time.Sleep(time.Minute)
				require.LessOrEqual(t, disk.looks()-before, int(time.Minute/(longest/2))+20)
				require.NoError(t, c.Unlock())
				require.LessOrEqual(t, took()-2*time.Minute, longest)

				said := log.polling()
				require.Len(t, said, 1, "it says so once, and not for each owner")
				require.Contains(t, said[0], test.why)
				require.NoError(t, b.Unlock())
			})
		})
	}
}

// Whatever WithPolling is told, the waiter neither spins nor sleeps for good.
func TestLockPollingIsBounded(t *testing.T) {
	const hour = time.Hour
	for _, test := range []struct{ shortest, longest, min, max time.Duration }{
		{0, 0, time.Millisecond / 2, time.Millisecond},
		{-1, -1, time.Millisecond / 2, time.Millisecond},
		{-2, -2, time.Millisecond / 2, time.Millisecond},
		{-hour, -hour, time.Millisecond / 2, time.Millisecond},
		{time.Second, 0, time.Second / 2, time.Second},
		{math.MaxInt64, math.MaxInt64, hour / 2, hour},
		{math.MinInt64, math.MaxInt64, time.Millisecond / 2, hour},
	} {
		synctest.Test(t, func(t *testing.T) {
			disk, procs := newWaitDisk(), proctest.NewFake()
			a := disk.process(procs.Start("a"))
			b := disk.process(procs.Start("b"), lock.WithoutEvents(), lock.WithPolling(test.shortest, test.longest))
			ctx, cancel := context.WithCancel(t.Context())
			pauses := 0
			lock.BeforePause(b, func(d time.Duration) {
				require.GreaterOrEqual(t, d, test.min)
				require.LessOrEqual(t, d, test.max)
				if pauses++; pauses == 50 {
					cancel()
				}
			})
			require.NoError(t, a.Lock())
			require.ErrorIs(t, b.LockContext(ctx), context.Canceled)
			require.NoError(t, a.Unlock())
		})
	}
}

// The end of a process in another PID namespace is no event here. The kernel's
// witness tells, to those who ask.
func TestLockPollsForAnotherNamespace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk, procs, log := newWaitDisk(memfs.Witness(fsys.Held)), proctest.NewFake(), &waitLog{}
		p := procs.Container().Start("a")
		a := disk.process(p)
		b := disk.process(procs.Start("b"), lock.WithLogger(slog.New(log)))
		require.NoError(t, a.Lock())
		took := waitFor(t, b)
		time.Sleep(time.Minute)
		p.Kill()
		require.LessOrEqual(t, took()-time.Minute, 100*time.Millisecond)
		require.Len(t, log.polling(), 1)

		// Its release is an event.
		require.NoError(t, b.Unlock())
		a = disk.process(procs.Container().Start("a"))
		require.NoError(t, a.Lock())
		took = waitFor(t, b)
		require.NoError(t, a.Unlock())
		require.Zero(t, took())
	})
}

// A waiter that nothing can be known for must not be a busy one.
func TestLockWaitsQuietly(t *testing.T) {
	for _, test := range []struct {
		name  string
		put   func(d *waitDisk, procs *proctest.Fake)
		looks int // at most, in an hour
	}{
		{"living owner", func(d *waitDisk, procs *proctest.Fake) {
			_ = d.process(procs.Start("a")).Lock()
		}, 2*60*60/5 + 10},
		{"another machine", func(d *waitDisk, procs *proctest.Fake) {
			d.Set(memfs.Network())
			_ = d.process(procs.Machine("far").Start("a")).Lock()
		}, 60*60*20 + 20},
		{"incomplete record", func(d *waitDisk, _ *proctest.Fake) {
			d.Set(memfs.Network())
			d.Put(at("L0"), nil)
		}, 60*60*20 + 20},
		{"stopped in the middle of a recovery", func(d *waitDisk, procs *proctest.Fake) {
			_ = d.process(procs.Start("stopped")).Lock()
			d.Move(at("L0"), at("L1"))
			p := procs.Start("dead")
			_ = d.process(p).Lock()
			p.Kill()
		}, (2*60*60/5 + 10) * 8 * 3},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				disk, procs := newWaitDisk(), proctest.NewFake()
				test.put(disk, procs)
				l := disk.process(procs.Start("b"))
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				require.ErrorIs(t, l.LockContext(ctx), context.DeadlineExceeded)
				require.LessOrEqual(t, disk.looks(), test.looks)
				disk.idle(t)
			})
		})
	}
}

// Where every look finds another owner, the waiter must not spin, and not set
// up a watch for each.
func TestLockWithOwnersThatChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk, procs := newWaitDisk(), proctest.NewFake()
		p := procs.Start("a")
		looks := 0
		disk.onRead = func() {
			if looks++; looks > 100_000 {
				panic("it spins")
			}
			next := newWaitDisk()
			_ = next.process(p).Lock()
			disk.Put(at("L0"), []byte(next.Entries(dirPath)["L0"].Data))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		l := disk.process(procs.Start("b"))
		require.ErrorIs(t, l.LockContext(ctx), context.DeadlineExceeded)
		require.Less(t, looks, 1000)
		require.LessOrEqual(t, disk.watches, 1)
		disk.idle(t)
	})
}

// A file that is gone whenever it is watched is not a reason to spin either.
func TestLockWhenTheWatchComesTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk, procs := newWaitDisk(), proctest.NewFake()
		disk.onWatch = func() error { return fs.ErrNotExist }
		require.NoError(t, disk.process(procs.Start("a")).Lock())
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.ErrorIs(t, disk.process(procs.Start("b")).LockContext(ctx), context.DeadlineExceeded)
		require.LessOrEqual(t, disk.looks(), 60*20+20)
	})
}

func TestLockContextThatIsDone(t *testing.T) {
	past, cancel := context.WithDeadline(t.Context(), time.Unix(1, 0))
	defer cancel()
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, test := range []struct {
		name string
		ctx  context.Context
		err  error
	}{
		{"nil", nil, nil},
		{"cancelled", cancelled, context.Canceled},
		{"deadline in the past", past, context.DeadlineExceeded},
	} {
		t.Run(test.name, func(t *testing.T) {
			disk := newWaitDisk()
			l := disk.process(proctest.NewFake().Start("a"))
			err := l.LockContext(test.ctx)
			require.Error(t, err)
			if test.err != nil {
				require.ErrorIs(t, err, test.err)
			}
			var pathErr *fs.PathError
			require.ErrorAs(t, err, &pathErr)
			require.ErrorIs(t, l.Check(), lock.ErrNotHeld)
			require.Empty(t, disk.Names(dirPath))
			require.Zero(t, disk.looks())
		})
	}
}

// Whatever a cancelled waiter was doing, it stops at once and leaves nothing.
func TestLockContextCancelled(t *testing.T) {
	for name, opts := range map[string][]lock.Option{"events": nil, "polling": {lock.WithoutEvents()}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				disk, procs := newWaitDisk(), proctest.NewFake()
				a, b := disk.process(procs.Start("a")), disk.process(procs.Start("b"), opts...)
				require.NoError(t, a.Lock())
				ctx, cancel := context.WithCancel(t.Context())
				var wg sync.WaitGroup
				for range 3 { // one looks, the others are in line behind it
					wg.Go(func() { assert.ErrorIs(t, b.LockContext(ctx), context.Canceled) })
				}
				synctest.Wait()
				start := time.Now()
				cancel()
				wg.Wait()
				require.Zero(t, time.Since(start))
				disk.idle(t)
				require.Zero(t, lock.Queues())
				require.Len(t, disk.Names(dirPath), 1)
				require.NoError(t, a.Check())
				require.NoError(t, a.Unlock())
			})
		})
	}
}

// A waiter that is cancelled at the very moment at which it could have the lock
// either has it or not.
func TestLockContextCancelledAtAcquisition(t *testing.T) {
	var got, gaveUp int
	for range 500 {
		synctest.Test(t, func(t *testing.T) {
			disk, procs := newWaitDisk(), proctest.NewFake()
			a, b := disk.process(procs.Start("a")), disk.process(procs.Start("b"))
			require.NoError(t, a.Lock())
			ctx, cancel := context.WithCancel(t.Context())
			errs := make(chan error, 1)
			go func() { errs <- b.LockContext(ctx) }()
			go cancel()
			require.NoError(t, a.Unlock())
			if err := <-errs; err == nil {
				got++
				require.NoError(t, b.Check())
				require.NoError(t, b.Unlock())
			} else {
				gaveUp++
				require.ErrorIs(t, err, context.Canceled)
				require.ErrorIs(t, b.Check(), lock.ErrNotHeld)
			}
			require.Empty(t, disk.Names(dirPath))
			disk.idle(t)
		})
	}
	t.Logf("%d got it, %d gave up", got, gaveUp)
}

// Goroutines of a process wait in line: only the first of them has watches and
// looks at the directory.
func TestLockInLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk, procs := newWaitDisk(), proctest.NewFake()
		holder := disk.process(procs.Start("a"))
		require.NoError(t, holder.Lock())

		p := procs.Start("b")
		var handles []*lock.DirLock
		for range 5 {
			handles = append(handles, disk.process(p))
		}
		const waiters = 50
		var order []int
		var wg sync.WaitGroup
		for i := range waiters {
			wg.Go(func() {
				l := handles[i%len(handles)]
				assert.NoError(t, l.Lock())
				order = append(order, i)
				time.Sleep(time.Millisecond)
				assert.NoError(t, l.Unlock())
			})
			synctest.Wait()
		}
		assert.Equal(t, memfs.Usage{Watches: 1, Prepared: 1, Files: 1, Dirs: 1}, disk.Usage(), "of them and the holder")
		require.Less(t, disk.looks(), 10)
		require.NoError(t, holder.Unlock())
		wg.Wait()
		require.Len(t, order, waiters)
		require.True(t, slices.IsSorted(order), "first come, first served: %v", order)
		disk.idle(t)
		require.Zero(t, lock.Queues())
		require.Empty(t, disk.Names(dirPath))
	})
}

// Many waiters do not look in step: once they have lost a few times, they come
// one by one.
func TestLockCrowdSpreadsOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk, procs := newWaitDisk(), proctest.NewFake()
		const waiters = 100
		holder := disk.process(procs.Start("holder"))
		require.NoError(t, holder.Lock())

		looks := map[time.Time]int{}
		disk.onRead = func() {
			disk.mu.Lock()
			defer disk.mu.Unlock()
			looks[time.Now()]++
		}
		var crowds []int // the most looks at one moment, for each hold
		var wg sync.WaitGroup
		for i := range waiters {
			l := disk.process(procs.Start(fmt.Sprint(i)))
			wg.Go(func() {
				assert.NoError(t, l.Lock())
				time.Sleep(100 * time.Millisecond)
				disk.mu.Lock()
				most := 0
				for _, n := range looks {
					most = max(most, n)
				}
				crowds = append(crowds, most)
				clear(looks)
				disk.mu.Unlock()
				assert.NoError(t, l.Unlock())
			})
		}
		synctest.Wait()
		clear(looks)
		require.NoError(t, holder.Unlock())
		wg.Wait()
		require.Len(t, crowds, waiters)
		require.Greater(t, crowds[0], waiters/2, "nobody knows of the crowd yet")
		for _, n := range crowds[10:] {
			require.LessOrEqual(t, n, waiters/4)
		}
	})
}

// Who locks again at once is always faster than those who must wake up. It must
// not keep them out.
func TestLockLetsSleepersGoFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk, procs := newWaitDisk(memfs.LateEvents(200*time.Microsecond)), proctest.NewFake() // to wake up
		a, b := disk.process(procs.Start("a")), disk.process(procs.Start("b"))
		require.NoError(t, a.Lock())
		took := waitFor(t, b)
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range 1000 {
				time.Sleep(10 * time.Millisecond)
				assert.NoError(t, a.Unlock())
				assert.NoError(t, a.Lock())
			}
			assert.NoError(t, a.Unlock())
		}()
		require.Less(t, took(), 500*time.Millisecond)
		require.NoError(t, b.Unlock())
		<-done
	})
}

// Nobody else pays for that: not who locks now and then.
func TestLockAloneDoesNotPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newWaitDisk().process(proctest.NewFake().Start("a"))
		lock.BeforePause(l, func(d time.Duration) { t.Errorf("it pauses for %v", d) })
		for range 1000 {
			require.NoError(t, l.Lock())
			time.Sleep(10 * time.Millisecond)
			require.NoError(t, l.Unlock())
			time.Sleep(2 * time.Millisecond)
		}
	})
}
