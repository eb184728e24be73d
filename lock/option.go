package lock

import (
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/dirlock/dirlock/fsys"
	"github.com/dirlock/dirlock/fsys/osfs"
	"github.com/dirlock/dirlock/proc"
)

// Option changes what [New] makes.
type Option func(*options)

type options struct {
	fsys    fsys.FS
	table   proc.Table
	log     *slog.Logger
	now     func() time.Time
	rand    io.Reader
	events  bool
	pollMin time.Duration
	pollMax time.Duration
	command string // empty: what the process table says
	user    func() string
	label   string
	machine string // that an administrator vouches for
	mkdir   bool
	within  bool   // it works for a reader: see WithinShared
	name    string // empty: the lock without a name
	err     error  // what is wrong with these options
	hooks
}

// hooks are for tests.
type hooks struct {
	maxAttempts  int                   // of one TryLock
	maxGap       int                   // how many names in a row without a file end a search for level files
	pause        pauseFunc             // waits
	await        func(fsys.Spot) error // waits in line
	lineBeat     time.Duration         // until the first look of a waiter in line; 0: it does not look
	noLine       bool                  // there are none
	expectFree   func(*DirLock) bool   // whether TryLock creates L0 before it looks
	holdsID      func(string) bool     // whether this process holds the owner ID
	since        func(time.Time) time.Duration
	inUse        *atomic.Int32 // how many waiters have descriptors that they can do without
	withoutNotes bool          // as versions of dirlock that knew no notes of deaths
}

func defaults() options {
	return options{
		fsys:    osfs.New(),
		table:   proc.OS(),
		user:    thisUser,
		now:     time.Now,
		rand:    rand.Reader,
		events:  true,
		pollMin: time.Millisecond,
		pollMax: 100 * time.Millisecond,
		hooks: hooks{
			maxAttempts: maxAttempts,
			maxGap:      maxGap,
			pause:       pause,
			await:       fsys.Spot.Wait,
			lineBeat:    lineBeat,
			expectFree:  (*DirLock).justReleased,
			holdsID:     processHolds,
			since:       time.Since,
			inUse:       &extrasInUse,
		},
	}
}

// need makes the methods of the lock fail if an option was given nothing.
func (o *options) need(given bool, option string) {
	if !given && o.err == nil {
		o.err = errors.New("lock." + option + " was given nil")
	}
}

// WithFS sets the file system that the directory is on. The default is
// [osfs.New].
func WithFS(f fsys.FS) Option {
	return func(o *options) { o.fsys = f; o.need(f != nil, "WithFS") }
}

// WithProcesses sets the process table: it identifies this process, and tells
// whether others are dead. The default is [proc.OS].
func WithProcesses(t proc.Table) Option {
	return func(o *options) { o.table, o.user = t, noUser; o.need(t != nil, "WithProcesses") }
}

// WithCommand sets the name of the program in owner records, which tells people
// who holds the lock. The default is what the process table says. At most 128
// printable ASCII characters are kept.
func WithCommand(name string) Option { return func(o *options) { o.command = printable(name) } }

// WithLogger sets where events go: acquired, waiting, waited and released, and
// why a waiter polls, at level Debug; recovered, and what went wrong without
// being an error, at Warn; lost at Error. The default is nowhere. The handler
// may use the lock.
func WithLogger(log *slog.Logger) Option { return func(o *options) { o.log = log } }

// WithClock sets the clock that dates owner records, for people to read. The
// default is [time.Now]. It never decides whether an owner is dead. It also
// tells whether this handle released the lock less than a millisecond ago:
// TryLock then skips its first read, and Lock may let others go first.
func WithClock(now func() time.Time) Option {
	return func(o *options) { o.now = now; o.need(now != nil, "WithClock") }
}

// WithRand sets the source of owner IDs and of the jitter in waiting. It must
// be safe for concurrent use, never repeat itself in one directory, and not
// fail. The default is [rand.Reader].
func WithRand(r io.Reader) Option {
	return func(o *options) { o.rand = r; o.need(r != nil, "WithRand") }
}

// WithPolling sets how often a waiting Lock looks at the directory where the
// system has no events to wake it: after about shortest at first, then twice as
// long each time, at last about every longest. The default is 1 ms and 100 ms.
// Either is 1 ms at least and an hour at most, whatever is given, and longest is
// no less than shortest. Where so many wait that the system has no events left,
// the looks become rarer still: up to 45 s apart in the end, if longest is less.
// WithPolling does not change how often [DirLock.Lost] looks.
func WithPolling(shortest, longest time.Duration) Option {
	bound := func(d time.Duration) time.Duration { return min(max(d, time.Millisecond), time.Hour) }
	return func(o *options) { o.pollMin, o.pollMax = bound(shortest), bound(max(shortest, longest)) }
}

// WithoutEvents makes a waiting Lock or WaitFree poll, and Lost and Held as well,
// even where the system could wake them.
func WithoutEvents() Option { return func(o *options) { o.events = false } }
