package etcdfs_test

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/dirlock/dirlock/etcdfs"
	"github.com/dirlock/dirlock/etcdfs/internal/etcdtest"
	"github.com/dirlock/dirlock/lock"
)

var partitions = flag.Int("partitions", 24, "how many `rounds` of TestPartition")

func newLock(c *clientv3.Client, dir string, opts ...etcdfs.Option) *lock.DirLock {
	return lock.New(dir, lock.WithFS(etcdfs.New(c, opts...)))
}

// waiting returns a logger, and a channel that receives when a Lock begins to wait.
func waiting() (*slog.Logger, <-chan struct{}) {
	began := make(chan struct{}, 1)
	return slog.New(messages(func(msg string) {
		if msg == "waiting" {
			select {
			case began <- struct{}{}:
			default:
			}
		}
	})), began
}

// messages is told of every event.
type messages func(msg string)

func (messages) Enabled(context.Context, slog.Level) bool { return true }
func (f messages) Handle(_ context.Context, r slog.Record) error {
	f(r.Message)
	return nil
}
func (f messages) WithAttrs([]slog.Attr) slog.Handler { return f }
func (f messages) WithGroup(string) slog.Handler      { return f }

// A holder that cannot reach the server any more is told before the next owner has
// the lock, in every round, and what it does after that touches nothing.
func TestPartition(t *testing.T) {
	s := etcdtest.Start(t, etcdtest.Embedded)
	direct := s.Client(t)
	const atOnce = 12
	var mu sync.Mutex
	var margins []time.Duration
	slots := make(chan struct{}, atOnce)
	var wg sync.WaitGroup
	for i := range *partitions {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			ttl := time.Duration(2+i%3) * time.Second
			margin := partition(t, s, direct, fmt.Sprint("/partition/", i), ttl)
			mu.Lock()
			defer mu.Unlock()
			margins = append(margins, margin)
		})
	}
	wg.Wait()
	require.Len(t, margins, *partitions)
	slices.Sort(margins)
	t.Logf("%d partitions: told before the next owner by %v at least, %v in the middle", len(margins), margins[0], margins[len(margins)/2])
}

func partition(t *testing.T, s *etcdtest.Server, direct *clientv3.Client, dir string, ttl time.Duration) time.Duration {
	proxy := etcdtest.Via(t, s)
	a := newLock(etcdtest.Client(t, proxy.Endpoint), dir, etcdfs.WithTTL(ttl))
	b := newLock(direct, dir, etcdfs.WithTTL(ttl))
	ok, err := a.TryLock()
	if !assert.NoError(t, err) || !assert.True(t, ok) {
		return 0
	}
	held, cancel := a.Held(t.Context())
	defer cancel()
	told := make(chan time.Time, 1)
	context.AfterFunc(held, func() { told <- time.Now() })
	got := make(chan time.Time, 1)
	go func() {
		err := b.LockContext(t.Context())
		now := time.Now()
		assert.NoError(t, err)
		got <- now
	}()
	proxy.Cut()
	next := <-got
	var loss time.Time
	select {
	case loss = <-told:
	default:
		t.Errorf("%s: the next owner has the lock, and the one before has not been told", dir)
		loss = <-told
	}
	assert.True(t, loss.Before(next), dir)
	assert.ErrorIs(t, context.Cause(held), lock.ErrLost)
	before, err := direct.Get(t.Context(), dir+"/L0")
	assert.NoError(t, err)
	assert.ErrorIs(t, a.Check(), lock.ErrLost)
	proxy.Mend()
	assert.ErrorIs(t, a.Unlock(), lock.ErrLost)
	after, err := direct.Get(t.Context(), dir+"/L0")
	assert.NoError(t, err)
	assert.Equal(t, before.Kvs, after.Kvs)
	assert.NoError(t, b.Unlock())
	return next.Sub(loss)
}

// oracle judges from outside who may own the lock: an owner from when it has it until
// it begins to unlock, or its context is done.
type oracle struct {
	t     *testing.T
	mu    sync.Mutex
	owner context.Context // of the last one, until it leaves
	last  uint64          // token
	count int
	lost  int
}

func (o *oracle) enter(held context.Context, token uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.owner != nil && o.owner.Err() == nil && held.Err() == nil {
		o.t.Errorf("owner %d comes while the one before has the lock", token)
	}
	assert.Greater(o.t, token, o.last)
	o.owner, o.last = held, token
	o.count++
}

func (o *oracle) leave(held context.Context) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.owner == held {
		o.owner = nil
	}
	if held.Err() != nil {
		o.lost++
	}
}

// Processes contend while servers restart, leaders move and revisions are compacted.
func TestChangesOfTheCluster(t *testing.T) {
	members := etcdtest.Cluster(t, 3)
	var endpoints []string
	for _, m := range members {
		endpoints = append(endpoints, m.Endpoint)
	}
	o := &oracle{t: t}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 4 {
		l := newLock(etcdtest.Client(t, endpoints...), "/locks/busy", etcdfs.WithTTL(3*time.Second), etcdfs.WithTimeout(time.Second))
		wg.Go(func() { contend(ctx, l, o) })
	}
	admin := etcdtest.Client(t, endpoints...)
	for round := range 6 {
		change(t, round, members, admin)
		o.mu.Lock()
		enough := o.count + 20
		o.mu.Unlock()
		// Everybody goes on.
		require.Eventually(t, func() bool { o.mu.Lock(); defer o.mu.Unlock(); return o.count >= enough }, 30*time.Second, 10*time.Millisecond)
	}
	cancel()
	wg.Wait()
	t.Logf("%d owners, %d lost the lock", o.count, o.lost)
}

// contend has the lock again and again. Errors of a server that is not there are
// part of it.
func contend(ctx context.Context, l *lock.DirLock, o *oracle) {
	for ctx.Err() == nil {
		if l.LockContext(ctx) != nil {
			continue
		}
		held, cancel := l.Held(context.Background())
		token, _ := l.Token()
		o.enter(held, token)
		_ = l.Check()
		o.leave(held)
		for l.Unlock() != nil {
			if _, has := l.Owner(); !has {
				break // it was lost
			}
		}
		cancel()
	}
}

// change does something to the cluster.
func change(t *testing.T, round int, members []*etcdtest.Server, admin *clientv3.Client) {
	leader := slices.IndexFunc(members, (*etcdtest.Server).IsLeader)
	if leader < 0 {
		return // there is none just now
	}
	switch next := members[(leader+1)%len(members)]; round % 3 {
	case 0:
		c := etcdtest.Client(t, members[leader].Endpoint)
		_, err := c.MoveLeader(t.Context(), next.ID())
		assert.NoError(t, err)
	case 1:
		members[leader].End()
		members[leader].Begin()
	case 2:
		got, err := admin.Get(t.Context(), "/")
		if assert.NoError(t, err) {
			_, err = admin.Compact(t.Context(), got.Header.Revision, clientv3.WithCompactPhysical())
			assert.NoError(t, err)
		}
	}
}

// The one server stops and comes back, within the lease or after it.
func TestRestart(t *testing.T) {
	etcdtest.Each(t, func(t *testing.T, s *etcdtest.Server) {
		c := s.Client(t)
		// The embedded server can take five seconds to stop.
		a := newLock(c, "/locks/restart", etcdfs.WithTTL(time.Minute), etcdfs.WithTimeout(time.Second))
		log, waits := waiting()
		b := lock.New("/locks/restart", lock.WithLogger(log),
			lock.WithFS(etcdfs.New(s.Client(t), etcdfs.WithTTL(5*time.Second), etcdfs.WithTimeout(time.Second))))
		require.NoError(t, a.LockContext(t.Context()))
		held, cancel := a.Held(t.Context())
		defer cancel()
		done := make(chan error, 1)
		go func() { done <- b.LockContext(t.Context()) }()
		<-waits
		s.End()
		s.Begin()
		// The lock is kept.
		require.Eventually(t, func() bool { return a.Check() == nil }, 30*time.Second, 10*time.Millisecond)
		require.NoError(t, held.Err())
		require.NoError(t, a.Unlock())
		require.NoError(t, <-done, "the waiter has waited on")

		held, cancel = b.Held(t.Context())
		defer cancel()
		s.End()
		<-held.Done() // for want of a server
		require.ErrorIs(t, context.Cause(held), lock.ErrLost)
		s.Begin()
		require.ErrorIs(t, b.Unlock(), lock.ErrLost)
		require.Eventually(t, func() bool { return a.LockContext(t.Context()) == nil }, 30*time.Second, 10*time.Millisecond)
		require.NoError(t, a.Unlock())
		require.Eventually(t, func() bool {
			got, err := c.Get(t.Context(), "/locks/", clientv3.WithPrefix())
			return err == nil && len(got.Kvs) == 0
		}, 30*time.Second, 10*time.Millisecond)
	})
}
