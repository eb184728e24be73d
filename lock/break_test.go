package lock_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dirlock/dirlock/fsys/memfs"
	"github.com/dirlock/dirlock/lock"
)

// Break of one owner, where others are in the way, too, says which IDs to name.
func TestBreakNamesAll(t *testing.T) {
	w, _, _ := twoMachines(t)
	c := w.procs.Machine("c")
	l := w.handleOf(c.Start("c1"))
	s, err := l.Status()
	require.NoError(t, err)
	levels := s.InTheWay()
	require.Len(t, levels, 2)
	before := w.files()
	for n, level := range levels {
		err := l.Break(t.Context(), level.BreakID())
		require.ErrorIs(t, err, lock.ErrOtherOwner)
		other := levels[1-n]
		assert.ErrorContains(t, err, other.Owner.String()+" in "+[]string{"L0", "L1"}[1-n]+" (unknown)")
		assert.ErrorContains(t, err, "to break them all, name "+levels[0].Owner.ID+" and "+levels[1].Owner.ID)
		require.Equal(t, before, w.files(), "nothing has happened")
	}
	require.NoError(t, l.Break(t.Context(), levels[0].BreakID(), levels[1].BreakID()))
	require.Empty(t, w.names())
}

// On a network directory an empty L0 is nobody's, for all that can be known. A
// person can break it by the name of its level, and only if it is incomplete.
func TestBreakIncomplete(t *testing.T) {
	for _, level := range []string{"L0", "L1"} {
		w := newWorld(memfs.Network())
		w.set("s")
		w.put(level, "")
		l, _ := w.handle()
		mustTry(t, l, false)
		s, err := l.Status()
		require.NoError(t, err)
		require.Len(t, s.InTheWay(), 1)
		require.Equal(t, level, s.InTheWay()[0].BreakID())
		require.NoError(t, l.Break(t.Context(), level))
		require.Empty(t, w.names())
	}
	// A whole record is not broken by that name.
	w := newWorld(memfs.Network())
	far := w.handleOf(w.procs.Machine("far").Start("a"))
	mustTry(t, far, true)
	l, _ := w.handle()
	require.ErrorIs(t, l.ForceBreak(t.Context(), "L0"), lock.ErrOtherOwner)
	require.NoError(t, far.Check())
}

// Nobody can take an unrecognized file, not even by its level.
func TestBreakUnrecognized(t *testing.T) {
	w := newWorld(memfs.Network())
	w.set("f")
	l, _ := w.handle()
	s, err := l.Status()
	require.NoError(t, err)
	require.Empty(t, s.InTheWay()[0].BreakID())
	require.ErrorIs(t, l.ForceBreak(t.Context(), "L0"), lock.ErrOtherOwner)
	require.Equal(t, []string{"L0"}, w.names())
}
