package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dirlock/dirlock/lock"
)

// The torture of lock.Held: holders, each in a directory of its own, work under
// such a context. Others do all that takes no lock away, the whole time, and now
// and then something that does. Before that no context may end, and after it the
// one must.

// HeldConfig says what to do.
type HeldConfig struct {
	Holders int
	For     time.Duration
	// Loss is how often a turn of a holder ends with a loss instead of Unlock: one
	// time in so many.
	Loss int
	// Deaf takes the watch away: losses go unnoticed until the beat.
	Deaf bool
}

// HeldReport says what came of it.
type HeldReport struct {
	Turns    int
	Harmless int                        // things done that take no lock away
	Losses   map[string][]time.Duration // how long the holder took to notice
	Problems []string
}

// takeAway are the things that take a lock away.
var takeAway = map[string]func(dir string) error{
	"rm":            func(dir string) error { return os.Remove(filepath.Join(dir, "L0")) },
	"mv":            func(dir string) error { return os.Rename(filepath.Join(dir, "L0"), filepath.Join(dir, "old")) },
	"rewrite":       func(dir string) error { return os.WriteFile(filepath.Join(dir, "L0"), []byte("hello"), 0o666) },
	"rm -rf dir":    os.RemoveAll,
	"mv dir":        func(dir string) error { return os.Rename(dir, dir+".away") },
	"mv dir, mkdir": func(dir string) error { return errors.Join(os.Rename(dir, dir+".away"), os.Mkdir(dir, 0o777)) },
}

// harmless are the things that do not.
var harmless = []func(dir string, l *lock.DirLock) error{
	func(dir string, _ *lock.DirLock) error { return os.Chmod(filepath.Join(dir, "L0"), 0o644) },
	func(dir string, _ *lock.DirLock) error {
		return os.Chtimes(filepath.Join(dir, "L0"), time.Now(), time.Now())
	},
	func(dir string, _ *lock.DirLock) error {
		link := filepath.Join(dir, "link")
		return errors.Join(os.Link(filepath.Join(dir, "L0"), link), os.Remove(link))
	},
	func(dir string, _ *lock.DirLock) error {
		data, err := os.ReadFile(filepath.Join(dir, "L0"))
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, "copy"), data, 0o666)
	},
	func(dir string, _ *lock.DirLock) error {
		data, err := os.ReadFile(filepath.Join(dir, "L0"))
		if err != nil {
			return err
		}
		f, err := os.OpenFile(filepath.Join(dir, "L0"), os.O_WRONLY, 0) // in place, and the same
		if err != nil {
			return err
		}
		_, err = f.Write(data)
		return errors.Join(err, f.Close())
	},
	func(dir string, _ *lock.DirLock) error {
		sub := filepath.Join(dir, "sub")
		return errors.Join(os.Mkdir(sub, 0o777), os.Rename(sub, sub+"2"), os.Remove(sub+"2"))
	},
	func(dir string, l *lock.DirLock) error {
		other := lock.New(dir)
		if ok, err := other.TryLock(); ok || err != nil {
			return fmt.Errorf("TryLock of another: %v, %w", ok, err)
		}
		return l.Check()
	},
	func(dir string, _ *lock.DirLock) error {
		other := lock.New(dir, lock.WithName("other"))
		return errors.Join(other.Lock(), other.Unlock())
	},
}

// held is one run.
type held struct {
	HeldConfig
	mu sync.Mutex
	HeldReport
}

// RunHeld runs it in a directory, which is empty.
func RunHeld(dir string, c HeldConfig) (*HeldReport, error) {
	h := &held{HeldConfig: c, HeldReport: HeldReport{Losses: map[string][]time.Duration{}}}
	ctx, cancel := context.WithTimeout(context.Background(), c.For)
	defer cancel()
	var all sync.WaitGroup
	errs := make([]error, c.Holders)
	for i := range c.Holders {
		all.Go(func() {
			for n := 0; ctx.Err() == nil && errs[i] == nil; n++ {
				errs[i] = h.turn(filepath.Join(dir, fmt.Sprintf("%d.%d", i, n)))
			}
		})
	}
	all.Wait()
	return &h.HeldReport, errors.Join(errs...)
}

// turn is one acquisition of a holder.
func (h *held) turn(dir string) error {
	if err := os.Mkdir(dir, 0o777); err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	defer os.RemoveAll(dir + ".away")
	var opts []lock.Option
	if h.Deaf {
		opts = append(opts, lock.WithoutEvents())
	}
	l := lock.New(dir, opts...)
	if err := l.Lock(); err != nil {
		return err
	}
	ctx, cancel := l.Held(context.Background())
	defer cancel()

	did := rand.IntN(20)
	for range did {
		if err := harmless[rand.IntN(len(harmless))](dir, l); err != nil {
			h.problem("%s: %v", dir, err)
		}
		time.Sleep(time.Duration(rand.IntN(10)) * time.Millisecond)
		if ctx.Err() != nil {
			h.problem("%s: lost without a cause: %v", dir, context.Cause(ctx))
			break
		}
	}
	h.mu.Lock()
	h.Turns++
	h.Harmless += did
	h.mu.Unlock()
	if rand.IntN(h.Loss) == 0 {
		return h.lose(ctx, dir, l)
	}
	if err := l.Unlock(); err != nil {
		h.problem("%s: %v", dir, err)
	}
	if <-ctx.Done(); !errors.Is(context.Cause(ctx), lock.ErrNotHeld) {
		h.problem("%s: unlocked, and the cause is %v", dir, context.Cause(ctx))
	}
	return nil
}

// unnoticed is how long a holder may go without noticing.
const unnoticed = 10 * time.Second

// lose takes the lock away, and waits until the holder knows.
func (h *held) lose(ctx context.Context, dir string, l *lock.DirLock) error {
	names := slices.Sorted(maps.Keys(takeAway))
	how := names[rand.IntN(len(names))]
	start := time.Now()
	if err := takeAway[how](dir); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		if !errors.Is(context.Cause(ctx), lock.ErrLost) {
			h.problem("%s: %s, and the cause is %v", dir, how, context.Cause(ctx))
		}
	case <-time.After(unnoticed):
		h.problem("%s: %s went unnoticed", dir, how)
	}
	took := time.Since(start)
	h.mu.Lock()
	h.Losses[how] = append(h.Losses[how], took)
	h.mu.Unlock()
	err := l.Unlock()
	if how == "mv dir" && err == nil {
		return nil
	}
	if !errors.Is(err, lock.ErrLost) {
		h.problem("%s: %s, and Unlock says %v", dir, how, err)
	}
	return nil
}

func (h *held) problem(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.Problems) < 100 {
		h.Problems = append(h.Problems, fmt.Sprintf(format, args...))
	}
}

// String is for people.
func (r *HeldReport) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-24s %d\n%-24s %d\n", "turns", r.Turns, "harmless things", r.Harmless)
	for _, how := range slices.Sorted(maps.Keys(r.Losses)) {
		took := slices.Sorted(slices.Values(r.Losses[how]))
		at := func(percent int) time.Duration { return took[(len(took)-1)*percent/100].Round(time.Microsecond) }
		fmt.Fprintf(&b, "%-24s %d times, noticed after %v (median), %v (99 %%), %v (longest)\n", how, len(took), at(50), at(99), at(100))
	}
	for _, p := range r.Problems {
		fmt.Fprintf(&b, "%-24s %s\n", "problem", p)
	}
	if len(r.Problems) == 0 {
		fmt.Fprintf(&b, "%-24s ok\n", "result")
	} else {
		fmt.Fprintf(&b, "%-24s BROKEN\n", "result")
	}
	return b.String()
}
