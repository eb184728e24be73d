package explore_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dirlock/dirlock/internal/testutil/explore"
	"github.com/dirlock/dirlock/proc"
)

// toy is a lock that anybody could have written: who finds the owner dead
// removes its file and starts again. That is wrong. (If nobody dies, it is
// right.)
func toy(name string, forgetful bool, beforeTry func(p *explore.Proc)) *explore.Program {
	return &explore.Program{Name: name, Run: func(p *explore.Proc) {
		dir, _ := p.FS().Dir("")
		for left := 1; left >= 0; left-- {
			p.Call(explore.TryLock, left)
			if beforeTry != nil {
				beforeTry(p)
			}
			f, err := dir.Create("L0", record(p))
			if errors.Is(err, fs.ErrExist) && !forgetful {
				s, err := dir.Read("L0")
				if err == nil {
					if state, _ := p.Table().Probe(owner(s.Data)); state == proc.Dead && dir.Remove("L0") == nil {
						f, _ = dir.Create("L0", record(p))
					}
				}
			}
			if f == nil {
				p.Refused()
				continue
			}
			p.Acquired()
			p.Call(explore.Unlock, left)
			if ok, _ := f.Intact("L0"); ok {
				_ = dir.Remove("L0")
			}
			_ = f.Close()
			p.Released()
		}
	}}
}

// record is PID and start, then 16 random bytes in hexadecimal.
func record(p *explore.Proc) []byte {
	id, _ := p.Table().Self()
	var nonce [16]byte
	_, _ = io.ReadFull(p.Rand(), nonce[:])
	return []byte(strings.Join([]string{string(rune(id.PID)), id.Start, string(nonce[:])}, "|"))
}

func owner(data []byte) proc.Identity {
	parts := bytes.SplitN(data, []byte("|"), 3)
	if len(parts) < 3 {
		return proc.Identity{PID: 1, Start: "torn"}
	}
	return proc.Identity{PID: int([]rune(string(parts[0]))[0]), Start: string(parts[1])}
}

func config(name string, prog *explore.Program, deaths int, start ...string) explore.Config {
	ps := []explore.Process{}
	for range 3 {
		ps = append(ps, explore.Process{Threads: []*explore.Program{prog}})
	}
	return explore.Config{Name: name, Procs: ps, Deaths: deaths, Start: start, Lone: prog, Verify: true}
}

func TestFinds(t *testing.T) {
	c := config("toy", toy("toy", false, nil), 1, "-")
	deep, short := explore.Explore(&c), explore.Shortest(&c)
	for _, r := range []*explore.Result{deep, short} {
		require.NotNil(t, r.Violation, r)
		assert.False(t, r.Complete)
		assert.Contains(t, r.String(), "stopped at a violation")
		assert.Equal(t, explore.OwnFiles, r.Violation.Property)
	}
	assert.LessOrEqual(t, short.Violation.Len(), deep.Violation.Len())

	// A long one shrinks, and is drawn, and can be replayed.
	v := deep.Violation.Shrink()
	assert.LessOrEqual(t, v.Len(), deep.Violation.Len())
	tr, err := v.Trace()
	require.NoError(t, err)
	assert.Equal(t, explore.OwnFiles, tr.Property)
	assert.Contains(t, tr.String(), "alive? → dead")
	assert.Contains(t, tr.String(), tr.Replay)
	var page bytes.Buffer
	require.NoError(t, tr.HTML(&page, "A & B", ""))
	assert.Contains(t, page.String(), "A &amp; B")
	assert.Contains(t, page.String(), "† dies")
	assert.NotContains(t, page.String(), "http")
	again, err := explore.Replay([]explore.Config{c}, tr.Replay)
	require.NoError(t, err)
	assert.Equal(t, tr.String(), again.String())
}

func TestComplete(t *testing.T) {
	c := config("no deaths", toy("toy", false, nil), 0, "-")
	r := explore.Explore(&c)
	assert.Nil(t, r.Violation)
	assert.True(t, r.Complete)
	assert.Contains(t, r.String(), ": complete: ")
	s := explore.Shortest(&c)
	assert.Equal(t, r.States, s.States, "both go through the same states")

	c.MaxStates = 10
	r = explore.Explore(&c)
	assert.False(t, r.Complete)
	assert.Contains(t, r.String(), "CUT SHORT")
}

// A lock that nobody can take from the dead is found without any step.
func TestLockOut(t *testing.T) {
	c := config("no recovery", toy("forgetful", true, nil), 0, "S")
	r := explore.Explore(&c)
	require.NotNil(t, r.Violation)
	assert.Equal(t, explore.NoLockOut, r.Violation.Property)
	tr, err := r.Violation.Trace()
	require.NoError(t, err)
	assert.Contains(t, tr.String(), "a lone process")
}

func TestReplayThatDoesNotFit(t *testing.T) {
	c := config("toy", toy("toy", false, nil), 1, "-")
	cs := []explore.Config{c}
	_, err := explore.Replay(cs, "v1:toy:-:Ac0Bc0Br0")
	require.NoError(t, err)
	for name, text := range map[string]string{
		"nothing":             "",
		"other version":       "v2:toy:-:Ac0",
		"unknown search":      "v1:other:-:Ac0",
		"unknown start":       "v1:toy:X:Ac0",
		"unreadable":          "v1:toy:-:Ac0%",
		"cut in a step":       "v1:toy:-:Ac0B",
		"another operation":   "v1:toy:-:Ar0",
		"another level":       "v1:toy:-:Ac1",
		"no such thread":      "v1:toy:-:Fc0",
		"a step of the dead":  "v1:toy:-:Ac0+AAi0",
		"dies twice":          "v1:toy:-:Ac0+A+A",
		"after the end":       "v1:toy:-:Ac0Ai0Ad0AxAc0Ai0Ad0AxAc0",
		"goes on when broken": "v1:toy:-:Ac0Bc0Br0Cc0Cr0+ABpCpBd0Bc0Cd0Cc0",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := explore.Replay(cs, text)
			assert.ErrorIs(t, err, explore.ErrReplay)
			t.Log(err)
		})
	}
}

// Code that does not do the same again when it gets the same answers cannot be
// explored.
func TestNotDeterministic(t *testing.T) {
	n := 0
	c := config("dice", toy("dice", false, func(p *explore.Proc) {
		if n++; n%3 == 0 {
			dir, _ := p.FS().Dir("")
			_, _ = dir.List("")
		}
	}), 0, "-")
	assertPanics(t, "not deterministic", func() { explore.Explore(&c) })
}

// Code that remembers more across its calls than it was said to is noticed.
func TestRemembers(t *testing.T) {
	prog := &explore.Program{Name: "remembers", Run: func(p *explore.Proc) {
		dir, _ := p.FS().Dir("")
		seen := false
		for left := 2; left >= 0; left-- {
			p.Call(explore.Status, left)
			_, err := dir.Read("L0")
			if seen {
				_, _ = dir.List("")
			}
			seen = seen || err == nil
			p.Nothing()
		}
	}}
	c := config("remembers", toy("toy", false, nil), 0, "-")
	c.Procs[0].Threads = []*explore.Program{prog}
	assertPanics(t, "remembers what it was assumed to forget", func() { explore.Explore(&c) })
}

// Code that does more with names than compare them is noticed.
func TestOrdersNames(t *testing.T) {
	c := config("orders", toy("orders", false, nil), 0, "-")
	prog := &explore.Program{Name: "orders", Run: func(p *explore.Proc) {
		dir, _ := p.FS().Dir("")
		p.Call(explore.Status, 0)
		self, _ := p.Table().Self()
		if s, err := dir.Read("L0"); err == nil && owner(s.Data).PID > self.PID {
			_, _ = dir.List("")
		}
		p.Nothing()
	}}
	c.Procs[0].Threads = []*explore.Program{prog}
	assertPanics(t, "more with names", func() { explore.Explore(&c) })
}

// The model and the world must agree at every step.
func TestWalk(t *testing.T) {
	c := config("toy", toy("toy", false, nil), 2, "-", "S", "T", "F")
	broken := 0
	for seed := range uint64(300) {
		tr, err := explore.Walk(&c, rand.New(rand.NewPCG(seed, 1)), 60)
		require.NoError(t, err)
		if tr.Property != "" {
			broken++
		}
	}
	assert.NotZero(t, broken)
}

func assertPanics(t *testing.T, want string, f func()) {
	t.Helper()
	defer func() {
		t.Helper()
		assert.Contains(t, fmt.Sprint(recover()), want)
	}()
	f()
}
