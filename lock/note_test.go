package lock_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dirlock/dirlock/fsys/memfs"
	"github.com/dirlock/dirlock/lock"
	"github.com/dirlock/dirlock/proc/proctest"
)

// twoMachines is a directory that two machines share, on which two owners died:
// a's in L0, b's in L1, left by a recovery that it had begun.
func twoMachines(t *testing.T, options ...memfs.Option) (w *world, a, b *proctest.Fake) {
	w = newWorld(append(options, memfs.Network())...)
	a, b = w.procs, w.procs.Machine("b")
	b1 := b.Start("b1")
	mustTry(t, w.handleOf(b1), true)
	w.Move(at("L0"), at("L1"))
	b1.Kill()
	a1 := a.Start("a1")
	mustTry(t, w.handleOf(a1), true) // L0 is free: a plain acquisition
	a1.Kill()
	return w, a, b
}

// Two deaths on two machines must not shut out everybody, where each machine
// knows that its own are dead.
func TestNotes(t *testing.T) {
	for name, options := range map[string][]memfs.Option{"replacing": nil, "without replacing": {memfs.NoReplace()}} {
		t.Run(name, func(t *testing.T) {
			w, a, b := twoMachines(t, options...)
			l := w.handleOf(a.Start("a2"))
			mustTry(t, l, false) // b's may be alive, for all that a knows
			mustTry(t, w.handleOf(b.Start("b2")), false)
			require.Equal(t, []string{"L0", "L1", "L1.dead"}, w.names())

			s, err := l.Status()
			require.NoError(t, err)
			state, _ := s.State()
			assert.Equal(t, lock.Stale, state)
			assert.Equal(t, 20, lock.Row(s.Levels[1]))
			assert.Contains(t, s.Levels[1].Reason, "its own machine")

			mustTry(t, l, true)
			require.NoError(t, l.Unlock())
			require.Empty(t, w.names(), "the note goes with the Unlock after the recovery")
		})
	}
}

// A reader that has taken over leaves no more than an owner does.
func TestNotesGoWithAReader(t *testing.T) {
	w, a, b := twoMachines(t)
	mustTry(t, w.handleOf(b.Start("b2")), false)
	require.Equal(t, []string{"L0", "L1", "L1.dead"}, w.names())
	l := w.handleOf(a.Start("a2"))
	mustTryRead(t, l, true)
	require.NoError(t, l.RUnlock())
	require.Empty(t, w.names())
}

// A note is of one owner, not of whoever comes to that level after it.
func TestNoteOfAnotherOwner(t *testing.T) {
	w, a, b := twoMachines(t)
	mustTry(t, w.handleOf(b.Start("b2")), false)
	w.Remove(at("L1"))
	b3 := b.Start("b3")
	w.Move(at("L0"), at("elsewhere"))
	mustTry(t, w.handleOf(b3), true)
	w.Move(at("L0"), at("L1"))
	w.Move(at("elsewhere"), at("L0"))
	l := w.handleOf(a.Start("a2"))
	mustTry(t, l, false)

	// When that one is dead, too, its own machine replaces the note.
	b3.Kill()
	mustTry(t, l, false)
	mustTry(t, w.handleOf(b.Start("b4")), false)
	mustTry(t, l, true)
}

// A note of an earlier owner goes, even if another file is at that level just then.
func TestNoteBesideAnotherFile(t *testing.T) {
	w, a, b := twoMachines(t)
	mustTry(t, w.handleOf(b.Start("b2")), false)
	l := w.handleOf(a.Start("a2"))
	mustTry(t, l, true)
	w.before = func(op memfs.Op) error {
		if op.Name == "list" {
			w.put("L1", w.record(w.live))
		}
		return nil
	}
	require.NoError(t, l.Unlock())
	require.Equal(t, []string{"L1"}, w.names())
}

// A note is in no way of a lock: whatever it is, and whoever cannot make it.
func TestNoteThatIsNone(t *testing.T) {
	w, a, b := twoMachines(t)
	w.Mkdir(at("L1.dead"))
	mustTry(t, w.handleOf(b.Start("b2")), false)
	mustTry(t, w.handleOf(a.Start("a2")), false)
}

// What a refusal costs: where it is not known whether the owner lives, one look
// at L1.
func TestNotesCost(t *testing.T) {
	w := newWorld(memfs.Network())
	mustTry(t, w.handleOf(w.procs.Machine("b").Start("b1")), true)
	l := w.handleOf(w.procs.Start("a1"))
	w.ops = nil
	mustTry(t, l, false)
	assert.Equal(t, "open .; read L0; locate; read L1; close .", strings.Join(w.ops, "; "))
}
