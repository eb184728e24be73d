package main

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) {
	if isWorker() {
		worker()
		return
	}
	os.Exit(m.Run())
}

// The short form of make torture.
func TestTorture(t *testing.T) {
	r, err := Run(Config{Dir: t.TempDir(), Procs: 8, For: 3 * time.Second, KillEvery: 5 * time.Millisecond})
	require.NoError(t, err)
	t.Logf("\n%s", r)
	require.True(t, r.OK())
	require.Positive(t, r.Kills)
}

// … with readers.
func TestTortureReaders(t *testing.T) {
	r, err := Run(Config{Dir: t.TempDir(), Procs: 8, Readers: 60, For: 3 * time.Second, KillEvery: 5 * time.Millisecond})
	require.NoError(t, err)
	t.Logf("\n%s", r)
	require.True(t, r.OK())
	require.Positive(t, r.Shared)
}

// The oracle sees two owners where there are some.
func TestTortureBroken(t *testing.T) {
	for range 5 {
		r, err := Run(Config{Dir: t.TempDir(), Procs: 4, For: time.Second, KillEvery: 100 * time.Millisecond, Broken: true})
		require.NoError(t, err)
		if r.Violations > 0 {
			require.False(t, r.OK())
			t.Logf("%d violations", r.Violations)
			return
		}
	}
	t.Error("nobody is ever alive, and yet there was one owner at a time")
}

// The oracle's own cases, one by one.
func TestOracle(t *testing.T) {
	open := func(t *testing.T) *oracle {
		f, err := os.CreateTemp(t.TempDir(), "")
		require.NoError(t, err)
		defer f.Close()
		require.NoError(t, f.Truncate(int64(headSize+10*rowSize)))
		o, err := openOracle(f)
		require.NoError(t, err)
		t.Cleanup(o.close)
		require.Len(t, o.rows, 10)
		return o
	}
	t.Run("one after the other", func(t *testing.T) {
		o := open(t)
		for me := uint64(1); me < 5; me++ {
			require.Empty(t, o.enter(me))
			require.Empty(t, o.still(me))
			require.Empty(t, o.leave(me))
		}
		require.EqualValues(t, 4, o.head.acquired.Load())
	})
	t.Run("killed, then recovered", func(t *testing.T) {
		o := open(t)
		require.Empty(t, o.enter(1))
		o.rows[1].doomed.Store(monotonic())
		o.rows[1].dead.Store(1)
		require.Empty(t, o.enter(2))
		require.EqualValues(t, 1, o.head.recovered.Load())
		require.Empty(t, o.leave(2))
	})
	t.Run("killed, and reported later", func(t *testing.T) {
		o := open(t)
		require.Empty(t, o.enter(1))
		o.rows[1].doomed.Store(monotonic())
		entered := make(chan string)
		go func() { entered <- o.enter(2) }()
		o.rows[1].dead.Store(1)
		require.Empty(t, <-entered)
	})
	t.Run("alive, and leaves", func(t *testing.T) {
		o := open(t)
		require.Empty(t, o.enter(1))
		entered := make(chan string)
		go func() { entered <- o.enter(2) }()
		for o.rows[2].stamp.Load() == 0 {
		}
		for first := o.rows[2].stamp.Load(); o.rows[2].stamp.Load() == first; {
		}
		require.Empty(t, o.leave(1))
		require.NotEmpty(t, <-entered)
	})
	t.Run("alive, then killed", func(t *testing.T) {
		o := open(t)
		require.Empty(t, o.enter(1))
		entered := make(chan string)
		go func() { entered <- o.enter(2) }()
		for o.rows[2].stamp.Load() == 0 {
		}
		for first := o.rows[2].stamp.Load(); o.rows[2].stamp.Load() == first; {
		}
		o.rows[1].doomed.Store(monotonic())
		o.rows[1].dead.Store(1)
		require.NotEmpty(t, <-entered)
	})
	t.Run("stamped, then killed", func(t *testing.T) {
		o := open(t)
		require.Empty(t, o.enter(1))
		entered := make(chan string)
		go func() { entered <- o.enter(2) }()
		for o.rows[2].stamp.Load() == 0 {
		}
		for first := o.rows[2].stamp.Load(); o.rows[2].stamp.Load() == first; {
		}
		o.still(1)
		o.rows[1].dead.Store(1)
		require.NotEmpty(t, <-entered)
	})
	t.Run("two find the same dead one", func(t *testing.T) {
		o := open(t)
		require.Empty(t, o.enter(1))
		entered := make(chan string)
		go func() { entered <- o.enter(2) }()
		go func() { entered <- o.enter(3) }()
		for o.rows[2].stamp.Load() == 0 || o.rows[3].stamp.Load() == 0 {
		}
		o.rows[1].doomed.Store(1)
		o.rows[1].dead.Store(1)
		require.Empty(t, <-entered)
		first := o.head.owner.Load()
		require.Empty(t, o.leave(first))
		require.NotEmpty(t, <-entered)
	})
	t.Run("overwritten", func(t *testing.T) {
		o := open(t)
		require.Empty(t, o.enter(1))
		o.head.owner.Store(2)
		require.NotEmpty(t, o.still(1))
		require.NotEmpty(t, o.leave(1))
	})
}

func TestConfig(t *testing.T) {
	good := Config{Procs: 1, For: time.Second, KillEvery: time.Millisecond}
	for name, change := range map[string]func(*Config){
		"no process":    func(c *Config) { c.Procs = 0 },
		"too many":      func(c *Config) { c.Procs = 65 },
		"no time":       func(c *Config) { c.For = 0 },
		"too long":      func(c *Config) { c.For = time.Hour },
		"too fast":      func(c *Config) { c.KillEvery = 0 },
		"never":         func(c *Config) { c.KillEvery = time.Minute },
		"not empty dir": func(c *Config) { c.Dir = "." },
	} {
		c := good
		change(&c)
		_, err := Run(c)
		require.Error(t, err, name)
	}
}

// … and with readers.
func TestOracleReaders(t *testing.T) {
	open := func(t *testing.T) *oracle {
		f, err := os.CreateTemp(t.TempDir(), "")
		require.NoError(t, err)
		defer f.Close()
		require.NoError(t, f.Truncate(int64(headSize+10*rowSize)))
		o, err := openOracle(f)
		require.NoError(t, err)
		t.Cleanup(o.close)
		return o
	}
	kill := func(o *oracle, n int) {
		o.rows[n].doomed.Store(monotonic())
		o.rows[n].dead.Store(1)
	}
	joins := func(t *testing.T, o *oracle, place int, me uint64) uint64 {
		dead, wrong := o.join(place, me)
		require.Empty(t, wrong)
		return dead
	}
	t.Run("several", func(t *testing.T) {
		o := open(t)
		joins(t, o, 0, 1)
		joins(t, o, 1, 2)
		require.Empty(t, o.stillReading(1, 0))
		o.head.reading[0].Store(0)
		o.head.reading[1].Store(0)
		require.Empty(t, o.enter(3))
	})
	t.Run("a dead reader, and then an owner", func(t *testing.T) {
		o := open(t)
		joins(t, o, 0, 1)
		kill(o, 1)
		require.Empty(t, o.enter(2))
	})
	t.Run("a dead owner, and then a reader", func(t *testing.T) {
		o := open(t)
		require.Empty(t, o.enter(1))
		kill(o, 1)
		dead := joins(t, o, 0, 2)
		require.EqualValues(t, 1, dead)
		require.Empty(t, o.stillReading(2, dead))
	})
	t.Run("an owner beside a reader that leaves", func(t *testing.T) {
		o := open(t)
		joins(t, o, 0, 1)
		entered := make(chan string)
		go func() { entered <- o.enter(2) }()
		for first := o.rows[2].stamp.Load(); first == 0 || o.rows[2].stamp.Load() == first; {
			if first == 0 {
				first = o.rows[2].stamp.Load()
			}
		}
		o.head.reading[0].Store(0)
		require.NotEmpty(t, <-entered)
	})
	t.Run("an owner that comes while one reads", func(t *testing.T) {
		o := open(t)
		joins(t, o, 0, 1)
		o.head.owner.Store(2)
		require.NotEmpty(t, o.stillReading(1, 0))
	})
	t.Run("a reader beside an owner that leaves", func(t *testing.T) {
		o := open(t)
		require.Empty(t, o.enter(1))
		joined := make(chan string)
		go func() { _, wrong := o.join(0, 2); joined <- wrong }()
		for first := o.rows[2].stamp.Load(); first == 0 || o.rows[2].stamp.Load() == first; {
			if first == 0 {
				first = o.rows[2].stamp.Load()
			}
		}
		o.leave(1)
		require.NotEmpty(t, <-joined)
	})
}
