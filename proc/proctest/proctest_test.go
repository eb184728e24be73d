package proctest_test

import (
	"errors"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dirlock/dirlock/proc"
	"github.com/dirlock/dirlock/proc/proctest"
)

// processes is what a broken table is made of.
type processes struct {
	*proctest.FakeProcess // the calling one
	started               map[int]*proctest.FakeProcess
}

// fake returns a backend of the table that change makes of a process of procs.
func fake(procs *proctest.Fake, change func(w processes) proc.Table) proctest.Backend {
	w := processes{procs.Start("self"), map[int]*proctest.FakeProcess{}}
	return proctest.Backend{
		Table: change(w),
		Start: func() (proctest.Process, error) {
			p := procs.Start("other")
			w.started[p.PID()] = p
			id, err := p.Self()
			return proctest.Process{
				ID:   id,
				Kill: func() error { p.Zombie(); return nil },
				Reap: func() error { p.Reap(); return nil },
			}, err
		},
	}
}

func unchanged(w processes) proc.Table { return w.FakeProcess }

func TestFake(t *testing.T) {
	for name, change := range map[string]func(*proctest.Fake){
		"new":            func(*proctest.Fake) {},
		"without Unique": func(f *proctest.Fake) { f.WithoutUnique() },
		"same start":     func(f *proctest.Fake) { f.StopClock() },
	} {
		t.Run(name, func(t *testing.T) {
			procs := proctest.NewFake()
			change(procs)
			proctest.Run(t, fake(procs, unchanged))
		})
	}
}

func TestFakeInBubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		require.NoError(t, proctest.Check(fake(proctest.NewFake(), unchanged)))
	})
}

// A table without events is not wrong.
func TestWithoutNotifier(t *testing.T) {
	type table struct{ proc.Table }
	require.NoError(t, proctest.Check(fake(proctest.NewFake(), func(w processes) proc.Table { return table{w} })))
}

// Nor is one that cannot tell processes apart: it never says that one is alive.
func TestWithoutStart(t *testing.T) {
	without := func(id proc.Identity) proc.Identity {
		id.Unique, id.Start = "", ""
		return id
	}
	b := fake(proctest.NewFake(), func(w processes) proc.Table {
		return broken{
			processes: w,
			self: func() (proc.Identity, error) {
				id, err := w.Self()
				return without(id), err
			},
		}
	})
	start := b.Start
	b.Start = func() (proctest.Process, error) {
		p, err := start()
		p.ID = without(p.ID)
		return p, err
	}
	require.NoError(t, proctest.Check(b))
}

// deaf is a table whose events never come.
func deaf(w processes) proc.Table {
	return broken{processes: w, notify: func(proc.Identity) (<-chan struct{}, func(), error) {
		return nil, func() {}, nil
	}}
}

// The suite waits for as long as it is told to.
func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		b := fake(proctest.NewFake(), deaf)
		b.Patience = time.Hour
		assert.ErrorContains(t, proctest.Check(b), "received nothing")
		assert.Zero(t, time.Since(begin)%time.Hour)
		assert.NotZero(t, time.Since(begin))
	})
}

func TestSkip(t *testing.T) {
	b := fake(proctest.NewFake(), deaf)
	why := "events are lost"
	b.Skip = map[string]string{"impossible PID": why, "notify": why, "notify of the dead": why, "concurrent": why}
	require.NoError(t, proctest.Check(b))
	proctest.Run(t, b)
}

// broken is a table of which some methods are replaced.
type broken struct {
	processes
	self   func() (proc.Identity, error)
	probe  func(proc.Identity) (proc.State, string)
	notify func(proc.Identity) (<-chan struct{}, func(), error)
}

func (b broken) Self() (proc.Identity, error) {
	if b.self != nil {
		return b.self()
	}
	return b.processes.Self()
}

func (b broken) Probe(id proc.Identity) (proc.State, string) {
	if b.probe != nil {
		return b.probe(id)
	}
	return b.processes.Probe(id)
}

func (b broken) Notify(id proc.Identity) (<-chan struct{}, func(), error) {
	if b.notify != nil {
		return b.notify(id)
	}
	return b.processes.Notify(id)
}

// Each wrong table fails for its own reason.
func TestBroken(t *testing.T) {
	// probing changes the verdict of a table in some cases.
	probing := func(f func(id proc.Identity, s proc.State, why string) (proc.State, string)) func(processes) proc.Table {
		return func(w processes) proc.Table {
			return broken{processes: w, probe: func(id proc.Identity) (proc.State, string) {
				s, why := w.Probe(id)
				return f(id, s, why)
			}}
		}
	}
	selfing := func(f func(id proc.Identity, calls int) (proc.Identity, error)) func(processes) proc.Table {
		return func(w processes) proc.Table {
			var calls atomic.Int32 // of Self
			return broken{processes: w, self: func() (proc.Identity, error) {
				id, _ := w.Self()
				return f(id, int(calls.Add(1)))
			}}
		}
	}
	notifying := func(f func(w processes, id proc.Identity) (<-chan struct{}, func(), error)) func(processes) proc.Table {
		return func(w processes) proc.Table {
			return broken{processes: w, notify: func(id proc.Identity) (<-chan struct{}, func(), error) { return f(w, id) }}
		}
	}
	var never chan struct{} // until the end of the test

	for _, test := range []struct {
		name  string
		table func(processes) proc.Table
		want  string // in the error
	}{
		{"self fails", selfing(func(proc.Identity, int) (proc.Identity, error) {
			return proc.Identity{}, errors.New("no idea")
		}), "self: Self: no idea"},
		{"self without PID", selfing(func(id proc.Identity, _ int) (proc.Identity, error) {
			id.PID = 0
			return id, nil
		}), "self: Self: PID 0"},
		{"two words", selfing(func(id proc.Identity, _ int) (proc.Identity, error) {
			id.Boot = "two words"
			return id, nil
		}), `self: Self: Boot "two words" has a space`},
		{"self changes", selfing(func(id proc.Identity, calls int) (proc.Identity, error) {
			id.Start += strings.Repeat("0", calls)
			return id, nil
		}), "self: Self changes"},
		{"self is dead", selfing(func(id proc.Identity, _ int) (proc.Identity, error) {
			id.Unique += "0"
			return id, nil
		}), "self: self: Probe"},
		{"Unique of two words", selfing(func(id proc.Identity, _ int) (proc.Identity, error) {
			id.Unique = "two words"
			return id, nil
		}), `self: Self: Unique "two words" has a space`},
		{"another namespace", selfing(func(id proc.Identity, _ int) (proc.Identity, error) {
			id.Namespace += "0"
			return id, nil
		}), "alive: the process started is"},
		{"no reason", probing(func(_ proc.Identity, s proc.State, _ string) (proc.State, string) {
			return s, ""
		}), "without a reason"},
		{"a signal that ends it", func(w processes) proc.Table {
			return broken{processes: w, probe: func(id proc.Identity) (proc.State, string) {
				s, why := w.Probe(id)
				if p := w.started[id.PID]; p != nil {
					p.Zombie()
				}
				return s, why
			}}
		}, "alive: a live process: Probe"},
		{"a signal to all", func(w processes) proc.Table {
			return broken{processes: w, probe: func(id proc.Identity) (proc.State, string) {
				if id.PID <= 0 {
					for _, p := range w.started {
						p.Zombie()
					}
				}
				return w.Probe(id)
			}}
		}, "impossible PID: a live process, after probes of impossible PIDs"},
		{"PIDs alone", probing(func(_ proc.Identity, s proc.State, why string) (proc.State, string) {
			if why == "its PID belongs to another process now" {
				return proc.Alive, why
			}
			return s, why
		}), "other start: another start: Probe"},
		{"starts alone", func(w processes) proc.Table {
			return broken{processes: w, probe: func(id proc.Identity) (proc.State, string) {
				id.Unique = ""
				return w.Probe(id)
			}}
		}, "other unique: another Unique: Probe"},
		{"unknown start is dead", probing(func(id proc.Identity, s proc.State, why string) (proc.State, string) {
			if id.Start == "" {
				return proc.Dead, why
			}
			return s, why
		}), "alive: a live process of unknown start: Probe"},
		{"missing Unique is dead", probing(func(id proc.Identity, s proc.State, why string) (proc.State, string) {
			if id.Unique == "" && id.Start != "" {
				return proc.Dead, why
			}
			return s, why
		}), "alive: a live process without Unique: Probe"},
		{"a PID is enough", probing(func(id proc.Identity, s proc.State, why string) (proc.State, string) {
			if id.Unique == "" && id.Start == "" && s == proc.Unknown {
				return proc.Alive, why
			}
			return s, why
		}), "alive: a live process of unknown start and without Unique: Probe"},
		{"EPERM is dead", probing(func(_ proc.Identity, s proc.State, why string) (proc.State, string) {
			if s == proc.Alive {
				return proc.Dead, "operation not permitted"
			}
			return s, why
		}), "alive: a live process: Probe"},
		{"kill(-1)", probing(func(id proc.Identity, s proc.State, why string) (proc.State, string) {
			if id.PID == -1 {
				return proc.Unknown, why
			}
			return s, why
		}), "impossible PID: an impossible PID: Probe(PID -1"},
		{"PID cut to 32 bits", probing(func(id proc.Identity, s proc.State, why string) (proc.State, string) {
			if id.PID > 1<<31-1 {
				return proc.Unknown, why
			}
			return s, why
		}), "impossible PID: an impossible PID: Probe"},
		{"zombies live", probing(func(_ proc.Identity, s proc.State, why string) (proc.State, string) {
			if strings.Contains(why, "reaped") {
				return proc.Alive, why
			}
			return s, why
		}), "death: a zombie: Probe"},
		{"the dead are unknown", probing(func(id proc.Identity, s proc.State, why string) (proc.State, string) {
			if id.PID > 0 && strings.HasPrefix(why, "no process has") {
				return proc.Unknown, why
			}
			return s, why
		}), "death: a process that was reaped: Probe"},
		{"notify fails", notifying(func(processes, proc.Identity) (<-chan struct{}, func(), error) {
			return nil, nil, errors.New("too many open files")
		}), "notify: Notify: too many open files"},
		{"no event", notifying(func(w processes, id proc.Identity) (<-chan struct{}, func(), error) {
			if s, _ := w.Probe(id); s == proc.Dead {
				return w.Notify(id)
			}
			return never, func() {}, nil
		}), "notify: the channel of a process that ends received nothing"},
		{"no event for a zombie", notifying(func(w processes, id proc.Identity) (<-chan struct{}, func(), error) {
			if _, why := w.Probe(id); strings.Contains(why, "reaped") {
				return never, func() {}, nil
			}
			return w.Notify(id)
		}), "notify of the dead: the channel of a zombie received nothing"},
		{"no event for nobody", notifying(func(w processes, id proc.Identity) (<-chan struct{}, func(), error) {
			if _, why := w.Probe(id); id.PID > 0 && strings.HasPrefix(why, "no process has") {
				return never, func() {}, nil
			}
			return w.Notify(id)
		}), "notify of the dead: the channel of a process that was reaped received nothing"},
		{"no event for the impossible", notifying(func(w processes, id proc.Identity) (<-chan struct{}, func(), error) {
			if id.PID <= 0 {
				return never, func() {}, nil
			}
			return w.Notify(id)
		}), "impossible PID: the channel of an impossible PID received nothing"},
		{"closes instead", notifying(func(w processes, id proc.Identity) (<-chan struct{}, func(), error) {
			c := make(chan struct{})
			close(c)
			return c, func() {}, nil
		}), "notify: the channel of a process that ends is closed"},
		{"closes on stop", notifying(func(w processes, id proc.Identity) (<-chan struct{}, func(), error) {
			c := make(chan struct{}, 1)
			c <- struct{}{}
			return c, func() { close(c) }, nil
		}), "notify: the channel is closed after stop"},
		{"stop hangs", notifying(func(w processes, id proc.Identity) (<-chan struct{}, func(), error) {
			c, stop, err := w.Notify(id)
			if s, _ := w.Probe(id); s == proc.Alive {
				stop = func() { <-never }
			}
			return c, stop, err
		}), "stop: stop does not return"},
		{"goroutines", notifying(func(w processes, id proc.Identity) (<-chan struct{}, func(), error) {
			go func() { <-never }()
			return w.Notify(id)
		}), "stop: stop leaks: "},
		{"descriptors", notifying(func(w processes, id proc.Identity) (<-chan struct{}, func(), error) {
			f, err := os.Open(os.DevNull)
			if err != nil {
				return nil, nil, err
			}
			t.Cleanup(func() { f.Close() })
			return w.Notify(id)
		}), " descriptors before, "},
	} {
		t.Run(test.name, func(t *testing.T) {
			// In a bubble, the patience of the suite costs nothing.
			synctest.Test(t, func(t *testing.T) {
				never = make(chan struct{})
				defer close(never)
				assert.ErrorContains(t, proctest.Check(fake(proctest.NewFake(), test.table)), test.want)
			})
		})
	}
}
