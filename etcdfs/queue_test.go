package etcdfs_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/dirlock/dirlock/etcdfs"
	"github.com/dirlock/dirlock/etcdfs/internal/etcdtest"
	"github.com/dirlock/dirlock/fsys"
	"github.com/dirlock/dirlock/lock"
)

// count returns how many keys begin with a prefix.
func count(t *testing.T, c *clientv3.Client, prefix string) int64 {
	got, err := c.Get(t.Context(), prefix, clientv3.WithPrefix(), clientv3.WithCountOnly())
	require.NoError(t, err)
	return got.Count
}

// Those that queue are told one after the other, also if one dies or gives up.
func TestQueue(t *testing.T) {
	etcdtest.Each(t, func(t *testing.T, s *etcdtest.Server) {
		c := s.Client(t)
		fsd, err := etcdfs.New(c).Dir("/q")
		require.NoError(t, err)
		f, err := fsd.Create("L0", nil)
		require.NoError(t, err)
		var turns []<-chan struct{}
		var stops []func()
		for range 4 {
			d, err := etcdfs.New(c).Dir("/q")
			require.NoError(t, err)
			turn, stop, err := fsys.Queue(d, "L0")
			require.NoError(t, err)
			turns, stops = append(turns, turn), append(stops, stop)
		}
		names, err := fsd.List("")
		require.NoError(t, err)
		assert.Equal(t, []string{"L0"}, names, "the queue is not among the files")
		removed, err := fsys.Remove(f, "L0")
		require.NoError(t, err)
		require.True(t, removed)
		<-turns[0]
		stops[1]() // gives up in the middle
		require.Eventually(t, func() bool { return count(t, c, "/q/L0/") == 3 }, 30*time.Second, time.Millisecond)
		for _, later := range turns[2:] {
			select {
			case <-later:
				t.Error("it is not the turn of this one")
			default:
			}
		}
		stops[0]()
		<-turns[2]
		g, err := fsd.Create("L0", nil) // somebody comes from outside
		require.NoError(t, err)
		_, err = fsys.Remove(g, "L0")
		require.NoError(t, err)
		<-turns[2]
		stops[2]()
		<-turns[3]
		stops[3]()
		require.Eventually(t, func() bool { return count(t, c, "/q/") == 0 }, 30*time.Second, time.Millisecond)
		require.NoError(t, f.Close())
		require.NoError(t, g.Close())
	})
}

// Many wait, and all get the lock. Nothing is left.
func TestCrowd(t *testing.T) {
	s := etcdtest.Start(t, etcdtest.Embedded)
	c := s.Client(t)
	o := &oracle{t: t}
	var wg sync.WaitGroup
	for range 20 {
		l := newLock(c, "/locks/crowd")
		wg.Go(func() {
			for range 10 {
				assert.NoError(t, l.Lock())
				held, cancel := l.Held(t.Context())
				token, _ := l.Token()
				o.enter(held, token)
				o.leave(held)
				assert.NoError(t, l.Unlock())
				cancel()
			}
		})
	}
	wg.Wait()
	assert.Equal(t, 200, o.count)
	assert.Zero(t, o.lost)
	require.Eventually(t, func() bool { return count(t, c, "/locks/") == 0 }, 30*time.Second, time.Millisecond)
}

// The waiter that is first in the queue dies, and the next one goes on.
func TestQueueWithoutItsFirst(t *testing.T) {
	s := etcdtest.Start(t, etcdtest.Embedded)
	proxy := etcdtest.Via(t, s)
	a := newLock(s.Client(t), "/locks/first")
	require.NoError(t, a.Lock())
	wait := func(c *clientv3.Client) <-chan error {
		log, waits := waiting()
		l := lock.New("/locks/first", lock.WithLogger(log), lock.WithFS(etcdfs.New(c, etcdfs.WithTTL(2*time.Second))))
		done := make(chan error, 1)
		go func() { done <- l.LockContext(t.Context()) }()
		<-waits
		return done
	}
	wait(etcdtest.Client(t, proxy.Endpoint))
	require.Eventually(t, func() bool { return count(t, s.Client(t), "/locks/first/L0/") == 1 }, 30*time.Second, 10*time.Millisecond)
	next := wait(s.Client(t))
	require.Eventually(t, func() bool { return count(t, s.Client(t), "/locks/first/L0/") == 2 }, 30*time.Second, 10*time.Millisecond)
	proxy.Cut()
	require.NoError(t, a.Unlock())
	require.NoError(t, <-next)
	proxy.Mend()
}
