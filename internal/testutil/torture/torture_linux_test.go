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
