package etcdfs_test

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"google.golang.org/grpc"
	"google.golang.org/grpc/stats"

	"github.com/dirlock/dirlock/etcdfs"
	"github.com/dirlock/dirlock/etcdfs/internal/etcdtest"
	"github.com/dirlock/dirlock/lock"
)

var beside = flag.Bool("beside", false, "measure beside concurrency.Mutex: the tables of docs/etcd.md")

// mutex is what both locks can do.
type mutex struct {
	lock, unlock func() error
	try          func() (bool, error)
}

type maker func(t *testing.T, c *clientv3.Client, name string) mutex

// contenders make a handle on the lock of a name.
var contenders = []struct {
	name string
	new  maker
}{
	{"dirlock", func(_ *testing.T, c *clientv3.Client, name string) mutex {
		l := lock.New(name, lock.WithFS(etcdfs.New(c)))
		return mutex{l.Lock, l.Unlock, l.TryLock}
	}},
	{"concurrency.Mutex", func(t *testing.T, c *clientv3.Client, name string) mutex {
		s, err := concurrency.NewSession(c, concurrency.WithTTL(15))
		require.NoError(t, err)
		t.Cleanup(func() { _ = s.Close() })
		m := concurrency.NewMutex(s, name)
		ctx := context.Background()
		return mutex{
			func() error { return m.Lock(ctx) },
			func() error { return m.Unlock(ctx) },
			func() (bool, error) { err := m.TryLock(ctx); return err == nil, nil },
		}
	}},
}

// messages counts those of a client, in both directions.
type messageCount struct{ atomic.Int64 }

func (m *messageCount) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }

func (m *messageCount) HandleRPC(_ context.Context, s stats.RPCStats) {
	switch s.(type) {
	case *stats.OutPayload, *stats.InPayload:
		m.Add(1)
	}
}

func (m *messageCount) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (m *messageCount) HandleConn(context.Context, stats.ConnStats)                       {}

// bench is a server, and what it is asked.
type bench struct {
	t     *testing.T
	s     *etcdtest.Server
	admin *clientv3.Client
	sent  messageCount
}

func (b *bench) client() *clientv3.Client {
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{b.s.Endpoint}, DialOptions: []grpc.DialOption{grpc.WithStatsHandler(&b.sent)}})
	require.NoError(b.t, err)
	b.t.Cleanup(func() { _ = c.Close() })
	return c
}

// entries is the length of the log of raft.
func (b *bench) entries() uint64 {
	status, err := b.admin.Status(b.t.Context(), b.s.Endpoint)
	require.NoError(b.t, err)
	return status.RaftIndex
}

// measure does something n times, and says what each time took.
func (b *bench) measure(what, who string, n int, f func()) {
	sent, entries, start := b.sent.Load(), b.entries(), time.Now()
	f()
	took := time.Since(start)
	per := func(x float64) float64 { return x / float64(n) }
	b.t.Logf("| %-22s | %-17s | %8.0f µs | %5.1f | %5.2f |", what, who, per(float64(took.Microseconds())),
		per(float64(b.sent.Load()-sent)), per(float64(b.entries()-entries)))
}

func TestBeside(t *testing.T) {
	if !*beside {
		t.Skip("only with -beside")
	}
	measure := func(t *testing.T, s *etcdtest.Server) {
		t.Log("etcd ", s.Version)
		b := &bench{t: t, s: s, admin: s.Client(t)}
		t.Logf("| %-22s | %-17s | %11s | %5s | %5s |", "", "", "time", "msgs", "raft")
		b.alternate("cycle", func(who string, make maker) func() {
			m := make(b.t, b.client(), "/cycle/"+who)
			return func() {
				require.NoError(b.t, m.lock())
				require.NoError(b.t, m.unlock())
			}
		})
		b.alternate("held probe", func(who string, make maker) func() {
			holder, m := make(b.t, b.client(), "/probe/"+who), make(b.t, b.client(), "/probe/"+who)
			require.NoError(b.t, holder.lock())
			return func() {
				ok, err := m.try()
				require.NoError(b.t, err)
				require.False(b.t, ok)
			}
		})
		for _, waiters := range []int{1, 39} {
			for round := range 3 {
				for _, c := range contenders {
					b.handOff(round, waiters, c.name, c.new)
				}
			}
		}
	}
	for _, kind := range []string{etcdtest.Embedded, etcdtest.Installed} { // one after the other
		t.Run(kind, func(t *testing.T) { measure(t, etcdtest.Start(t, kind)) })
	}
}

// alternate does something with each contender in turn, a few times at once, and
// shows the medians: a busy moment of the machine hits all of them.
func (b *bench) alternate(what string, start func(who string, make maker) func()) {
	const batches, batch = 60, 10
	all := make([]struct {
		do            func()
		took          []time.Duration
		sent, entries int64
	}, len(contenders))
	for i, c := range contenders {
		all[i].do = start(c.name, c.new)
		all[i].do()
	}
	for range batches {
		for i := range all {
			a := &all[i]
			sent, entries := b.sent.Load(), int64(b.entries())
			for range batch {
				begin := time.Now()
				a.do()
				a.took = append(a.took, time.Since(begin))
			}
			a.sent += b.sent.Load() - sent
			a.entries += int64(b.entries()) - entries
		}
	}
	for i, a := range all {
		slices.Sort(a.took)
		n := float64(len(a.took))
		b.t.Logf("| %-22s | %-17s | %8d µs | %5.1f | %5.2f |", what, contenders[i].name,
			a.took[len(a.took)/2].Microseconds(), float64(a.sent)/n, float64(a.entries)/n)
	}
}

// handOff has some lock again and again, each of which holds the lock until all
// others wait.
func (b *bench) handOff(round, waiters int, who string, make maker) {
	name := fmt.Sprint("/handoff/", who, round, waiters)
	turns := 10
	if waiters == 1 {
		turns = 50
	}
	var all []mutex
	for range waiters + 1 {
		all = append(all, make(b.t, b.client(), name))
	}
	var mu sync.Mutex
	var released time.Time
	var took []time.Duration
	n := (waiters + 1) * turns
	b.measure(fmt.Sprintf("turn, %d waiters", waiters), who, n, func() {
		var wg sync.WaitGroup
		for _, m := range all {
			wg.Go(func() {
				for range turns {
					if err := m.lock(); err != nil {
						b.t.Error(err)
						return
					}
					mu.Lock()
					if !released.IsZero() {
						took = append(took, time.Since(released))
					}
					mu.Unlock()
					time.Sleep(2 * time.Millisecond) // the work
					mu.Lock()
					released = time.Now()
					mu.Unlock()
					if err := m.unlock(); err != nil {
						b.t.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
	})
	slices.Sort(took)
	b.t.Logf("| %-22s | %-17s | %8d µs |  90 %%: %d µs |", "… hand-off, median", who, took[len(took)/2].Microseconds(), took[len(took)*9/10].Microseconds())
}
