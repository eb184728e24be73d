// Package proctest helps to test code that uses a process table: [Fake] is a table
// of invented processes, and [Run] checks that a table, of any kind, keeps the
// promises of [proc.Table].
package proctest

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/dirlock/dirlock/proc"
)

// Backend is a process table to check, and what the suite needs for it.
type Backend struct {
	// Table is the table, as the calling process sees it.
	Table proc.Table

	// Start starts a process that lives until it is killed, of the Boot and
	// Namespace of the calling process.
	Start func() (Process, error)

	// Patience is how long the suite waits for what a table must show soon, such
	// as the end of a process: 10 seconds, if it is zero. Only a failure takes as
	// long.
	Patience time.Duration

	// Skip names checks that are left out, each with the reason.
	Skip map[string]string
}

// Process is a process that [Backend] started. Its parent is the process that
// calls Reap.
type Process struct {
	// ID is what its own table says it is.
	ID proc.Identity
	// Kill ends it, as SIGKILL does. It may return before the process has
	// ended.
	Kill func() error
	// Reap waits until it has ended, and frees its PID. It is called exactly
	// once, after Kill.
	Reap func() error
}

// check is one promise of a table.
type check struct {
	name string
	run  func(Backend) error
}

var checks = []check{
	{"self", checkSelf},
	{"alive", checkAlive},
	{"other start", checkOtherStart},
	{"other unique", checkOtherUnique},
	{"impossible PID", checkImpossible},
	{"death", checkDeath},
	{"notify", checkNotify},
	{"notify of the dead", checkNotifyDead},
	{"stop", checkStop},
	{"concurrent", checkConcurrent},
}

// Check checks a table and returns all that is wrong with it, joined, or nil.
// Optional abilities, such as events, may be missing. It blocks for as long as the
// processes take, and for each broken promise up to Patience longer.
func Check(b Backend) error {
	var errs []error
	for _, c := range checks {
		if err := c.check(b); err != nil && !errors.Is(err, errSkip) {
			errs = append(errs, fmt.Errorf("%s: %w", c.name, err))
		}
	}
	return errors.Join(errs...)
}

// Run is [Check] with a subtest for each promise.
func Run(t *testing.T, b Backend) {
	t.Helper()
	for _, c := range checks {
		t.Run(strings.ReplaceAll(c.name, " ", "-"), func(t *testing.T) {
			err := c.check(b)
			if errors.Is(err, errSkip) {
				t.Skip(err)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
}

var errSkip = errors.New("left out")

func (c check) check(b Backend) error {
	if why, ok := b.Skip[c.name]; ok {
		return fmt.Errorf("%w: %s", errSkip, why)
	}
	if b.Patience == 0 {
		b.Patience = 10 * time.Second
	}
	return c.run(b)
}
