package proctest_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dirlock/dirlock/proc"
	"github.com/dirlock/dirlock/proc/proctest"
)

func identity(t *testing.T, table proc.Table) proc.Identity {
	t.Helper()
	id, err := table.Self()
	require.NoError(t, err)
	return id
}

func stateOf(table proc.Table, id proc.Identity) proc.State {
	state, _ := table.Probe(id)
	return state
}

func TestFakeLife(t *testing.T) {
	f := proctest.NewFake()
	p, q := f.Start("p"), f.Start("q")
	id := identity(t, p)
	assert.Equal(t, 1, p.PID())
	assert.Equal(t, 2, q.PID())
	assert.Equal(t, "p", id.Command)

	assert.Equal(t, proc.Alive, stateOf(q, id))
	p.Hide()
	assert.Equal(t, proc.Unknown, stateOf(q, id))
	assert.Equal(t, proc.Alive, stateOf(p, id), "it sees itself")
	assert.Panics(t, p.Reap, "it lives")

	p.Zombie()
	assert.Equal(t, proc.Dead, stateOf(q, id))
	assert.Panics(t, func() { f.StartPID(1, "r") }, "a zombie has the PID")
	p.Kill() // changes nothing
	assert.Panics(t, func() { f.StartPID(1, "r") }, "a zombie has the PID")
	p.Reap()
	assert.Equal(t, proc.Dead, stateOf(q, id))

	r := f.StartPID(1, "r")
	assert.Equal(t, proc.Dead, stateOf(q, id))
	assert.Equal(t, proc.Alive, stateOf(q, identity(t, r)))
	p.Reap() // not of r
	p.Kill()
	p.Zombie()
	assert.Equal(t, proc.Alive, stateOf(q, identity(t, r)))

	id.Unique, id.Start = "", ""
	assert.Equal(t, proc.Unknown, stateOf(q, id))
	assert.Panics(t, func() { f.StartPID(0, "s") })
	assert.Panics(t, func() { f.StartPID(-1, "s") })
	assert.Panics(t, func() { f.StartPID(2, "s") })
	assert.Equal(t, 3, f.Start("s").PID(), "2 is taken")
	assert.Equal(t, "host1", identity(t, q).Host)
}

// A PID that is used again within one tick is told by Unique alone.
func TestFakeStopClock(t *testing.T) {
	for _, older := range []bool{false, true} {
		f := proctest.NewFake()
		if older {
			assert.Same(t, f, f.WithoutUnique())
		}
		before := identity(t, f.Start("before"))
		f.StopClock()
		p := f.Start("p")
		q := f.Start("q")
		p.Kill()
		again := identity(t, f.StartPID(p.PID(), "again"))
		assert.NotEqual(t, before.Start, again.Start)
		assert.Equal(t, identity(t, p).Start, again.Start)
		assert.Equal(t, older, again.Unique == "")
		assert.Equal(t, proc.Alive, stateOf(q, again))
		want := proc.Dead
		if older {
			want = proc.Alive // nothing tells
		}
		assert.Equal(t, want, stateOf(q, identity(t, p)))
	}
}

// Unique is good for the machine and not only for a namespace of it. If one side
// has none, the start time tells.
func TestFakeUnique(t *testing.T) {
	f := proctest.NewFake()
	p := f.Start("p")
	id := identity(t, p)
	there := identity(t, f.Container().Start("q"))
	assert.NotEmpty(t, id.Unique)
	assert.NotEqual(t, id.Unique, there.Unique)

	older := id
	older.Unique = ""
	assert.Equal(t, proc.Alive, stateOf(p, older))
	older.Start += "0"
	assert.Equal(t, proc.Dead, stateOf(p, older))
	other := id
	other.Start += "0"
	assert.Equal(t, proc.Alive, stateOf(p, other), "Unique decides")

	o := f.Machine("old").WithoutUnique().Start("o")
	newer := identity(t, o)
	newer.Unique = "7"
	assert.Equal(t, proc.Alive, stateOf(o, newer))
	newer.Start += "0"
	assert.Equal(t, proc.Dead, stateOf(o, newer))
	f.Reboot()
	assert.Equal(t, id.Unique, identity(t, f.Start("p")).Unique, "each boot counts for itself")
}

func TestFakePlaces(t *testing.T) {
	f := proctest.NewFake()
	host := identity(t, f.Start("host"))
	c, d := f.Container(), f.Container()
	inC, inD := identity(t, c.Start("c")), identity(t, d.Start("d"))
	far := f.Machine("host2")
	there := identity(t, far.Start("far"))
	inFar := identity(t, far.Container().Start("c"))

	for _, id := range []proc.Identity{host, inC, inD, there, inFar} {
		assert.Equal(t, 1, id.PID)
	}
	assert.Equal(t, host.Boot, inC.Boot)
	assert.Equal(t, host.Boot, inD.Boot)
	assert.NotEqual(t, host.Boot, there.Boot)
	assert.Equal(t, there.Boot, inFar.Boot)
	assert.NotEqual(t, host.Namespace, inC.Namespace)
	assert.NotEqual(t, inC.Namespace, inD.Namespace)
	assert.Equal(t, host.Namespace, there.Namespace, "as it is on Linux")
	assert.Equal(t, inC.Namespace, inFar.Namespace, "as it may be on Linux")
	assert.Equal(t, "host2", there.Host)

	p := c.Start("p")
	d.KillAll()
	assert.Equal(t, proc.Alive, stateOf(p, inC), "another container ended")
	c.KillAll()
	assert.Equal(t, proc.Dead, stateOf(p, inC))
	assert.Equal(t, 3, c.Start("again").PID())

	p = c.Start("p")
	f.Reboot()
	assert.Equal(t, proc.Dead, stateOf(p, identity(t, p)), "containers end with their machine")
	after := identity(t, f.Start("host"))
	assert.Equal(t, 1, after.PID)
	assert.NotEqual(t, host.Boot, after.Boot)
	assert.NotEqual(t, there.Boot, after.Boot)
	assert.Equal(t, after.Boot, identity(t, c.Start("c")).Boot)
	assert.Equal(t, proc.Alive, stateOf(far.Start("x"), there), "the other machine runs")
}

func TestFakeIsDeterministic(t *testing.T) {
	identities := func() (ids []proc.Identity) {
		f := proctest.NewFake()
		for _, f := range []*proctest.Fake{f, f.Container(), f.Machine("b")} {
			ids = append(ids, identity(t, f.Start("a")), identity(t, f.Start("b")))
		}
		return ids
	}
	assert.Equal(t, identities(), identities())
}

func TestFakeNotify(t *testing.T) {
	f := proctest.NewFake()
	p, q := f.Start("p"), f.Start("q")
	notify := func() (<-chan struct{}, func()) {
		ended, stop, err := proc.Notify(q, identity(t, p))
		require.NoError(t, err)
		return ended, stop
	}
	first, stopFirst := notify()
	second, stopSecond := notify()
	assert.Empty(t, first)
	stopSecond()
	p.Zombie()
	assert.Len(t, first, 1)
	assert.Empty(t, second, "stopped")
	stopFirst()
	p.Reap()
	third, stopThird := notify()
	assert.Len(t, third, 1)
	stopThird()

	r := f.Start("r")
	ended, stop, err := proc.Notify(q, identity(t, r))
	require.NoError(t, err)
	f.Reboot()
	assert.Len(t, ended, 1)
	stop()
}

func TestFakeNotifyInBubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := proctest.NewFake()
		p := f.Start("p")
		ended, stop, err := proc.Notify(f.Start("q"), identity(t, p))
		require.NoError(t, err)
		defer stop()
		woken := false
		go func() {
			<-ended
			woken = true
		}()
		synctest.Wait()
		assert.False(t, woken)
		p.Kill()
		synctest.Wait()
		assert.True(t, woken)
	})
}

func TestFakeConcurrently(t *testing.T) {
	f := proctest.NewFake()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				p := f.Start("p")
				ended, stop, err := proc.Notify(p, identity(t, p))
				assert.NoError(t, err)
				p.Kill()
				<-ended
				stop()
				assert.Equal(t, proc.Dead, stateOf(p, identity(t, p)))
				f.Container().Start("q").Zombie()
			}
		})
	}
	wg.Wait()
}

func TestNotifyUnsupported(t *testing.T) {
	type table struct{ proc.Table }
	_, _, err := proc.Notify(table{proctest.NewFake().Start("p")}, proc.Identity{PID: 7})
	require.ErrorIs(t, err, errors.ErrUnsupported)
	assert.ErrorContains(t, err, "process 7")
}

func TestState(t *testing.T) {
	assert.Equal(t, "unknown alive dead unknown", fmt.Sprint(proc.Unknown, proc.Alive, proc.Dead, proc.State(9)))
}

func TestOSIsOneValue(t *testing.T) {
	assert.True(t, proc.OS() == proc.OS())
	assert.Equal(t, map[proc.Table]int{proc.OS(): 1}, map[proc.Table]int{proc.OS(): 1})
}
