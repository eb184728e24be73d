package lock

import (
	"crypto/rand"
	"io"
	"log/slog"
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
}

func defaults() options {
	return options{
		fsys:    osfs.New(),
		table:   proc.OS(),
		now:     time.Now,
		rand:    rand.Reader,
		events:  true,
		pollMin: time.Millisecond,
		pollMax: 100 * time.Millisecond,
	}
}

// WithFS sets the file system that the directory is on. The default is
// [osfs.New].
func WithFS(f fsys.FS) Option { return func(o *options) { o.fsys = f } }

// WithProcesses sets the process table that tells who we are and who is dead.
// The default is [proc.OS].
func WithProcesses(t proc.Table) Option { return func(o *options) { o.table = t } }

// WithLogger sets where events go: acquired, waiting, waited and released, and
// why a waiter polls, at level Debug; recovered, and what went wrong without
// being an error, at Warn; lost at Error. The default is nowhere.
func WithLogger(log *slog.Logger) Option { return func(o *options) { o.log = log } }

// WithClock sets the clock that dates owner records, for people to read. The
// default is [time.Now]. No verdict depends on it. It tells nothing else but
// whether this handle had the lock a moment ago: then TryLock does not look
// whether it is free before it tries, and Lock may let others go first.
func WithClock(now func() time.Time) Option { return func(o *options) { o.now = now } }

// WithRand sets the source of owner IDs and of the jitter in waiting. It must
// be safe for concurrent use, never repeat itself in one directory, and not
// fail. The default is [rand.Reader].
func WithRand(r io.Reader) Option { return func(o *options) { o.rand = r } }

// WithPolling sets how often a waiting Lock looks at the directory where the
// system has no events to wake it: after about shortest at first, then twice as
// long each time, at last about every longest. The default is 1 ms and 100 ms.
// Either is 1 ms at least and an hour at most, whatever is given, and longest is
// no less than shortest.
func WithPolling(shortest, longest time.Duration) Option {
	bound := func(d time.Duration) time.Duration { return min(max(d, time.Millisecond), time.Hour) }
	return func(o *options) { o.pollMin, o.pollMax = bound(shortest), bound(max(shortest, longest)) }
}

// WithoutEvents makes a waiting Lock poll only, even where the system could
// wake it.
func WithoutEvents() Option { return func(o *options) { o.events = false } }
