package etcdfs

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dirlock/dirlock/etcdfs/internal/etcdtest"
	"github.com/dirlock/dirlock/fsys"
)

// fakeClock advances by step at each look, so that every answer takes long.
type fakeClock struct{ now, step atomic.Int64 }

func (c *fakeClock) clock() time.Duration { return time.Duration(c.now.Add(c.step.Load())) }

func withClock(c clock) Option { return func(o *options) { o.clock = c } }

// The lease counts from before the request for it was sent, and keeps a margin back.
func TestLeaseCountsFromTheSending(t *testing.T) {
	s := etcdtest.Start(t, etcdtest.Embedded)
	c := &fakeClock{}
	f := New(s.Client(t), withClock(c.clock), WithTTL(16*time.Second))
	h := &handle{fs: f}
	c.step.Store(int64(time.Second))
	l, err := h.take(t.Context())
	require.NoError(t, err)
	c.step.Store(0)
	since := c.clock() - time.Second // it was 1 s when the request was sent
	l.mu.Lock()
	left := l.left()
	l.mu.Unlock()
	assert.Equal(t, 14*time.Second-since, left)
	assert.False(t, l.ended())

	// After the machine has slept, nobody has to be told by a timer.
	c.now.Add(int64(left))
	assert.True(t, l.ended())
	assert.Error(t, l.ctx.Err())
	assert.False(t, l.use())
}

// What a process does after a sleep that was longer than its lease touches nothing,
// and the server is not asked.
func TestSleepEndsTheLease(t *testing.T) {
	s := etcdtest.Start(t, etcdtest.Embedded)
	c := &fakeClock{}
	client := s.Client(t)
	d, err := New(client, withClock(c.clock)).Dir("/sleep")
	require.NoError(t, err)
	f, err := d.Create("L0", []byte("mine"))
	require.NoError(t, err)
	c.now.Add(int64(15 * time.Second))
	removed, err := fsys.Remove(f, "L0")
	require.NoError(t, err)
	assert.False(t, removed)
	ok, err := f.Intact("L0")
	require.NoError(t, err)
	assert.False(t, ok)
	<-fsys.EndOf(f)
	require.NoError(t, f.Close())
}

// A lease is used by the files of one handle, one after the other, and not renewed in
// between.
func TestLeaseIsUsedAgain(t *testing.T) {
	s := etcdtest.Start(t, etcdtest.Embedded)
	c := &fakeClock{}
	f := New(s.Client(t), withClock(c.clock))
	h := &handle{fs: f}
	one, err := h.take(t.Context())
	require.NoError(t, err)
	one.release()
	two, err := h.take(t.Context())
	require.NoError(t, err)
	assert.Same(t, one, two)
	two.release()
	c.now.Add(int64(8 * time.Second))
	three, err := h.take(t.Context())
	require.NoError(t, err)
	assert.NotSame(t, one, three, "too little of it is left")
	other, err := (&handle{fs: f}).take(t.Context())
	require.NoError(t, err)
	assert.NotEqual(t, three.id, other.id, "each handle has one of its own")
}

// A create without an answer cannot leave a file: its lease is given up.
func TestCreateWithoutAnAnswer(t *testing.T) {
	s := etcdtest.Start(t, etcdtest.Embedded)
	proxy := etcdtest.Via(t, s)
	f := New(etcdtest.Client(t, proxy.Endpoint))
	d, err := f.Dir("/late")
	require.NoError(t, err)
	p, err := fsys.Prepare(d, 0)
	require.NoError(t, err)
	lease := d.(*dir).handle.lease
	o, err := fsys.Open(d)
	require.NoError(t, err)
	proxy.Cut()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err = fsys.WithContext(ctx, o).Create("L0", []byte("late"))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Error(t, lease.ctx.Err())
	proxy.Mend() // the request arrives
	client := s.Client(t)
	require.Eventually(t, func() bool {
		left, err := client.TimeToLive(t.Context(), lease.id)
		return err == nil && left.TTL == -1
	}, 30*time.Second, 10*time.Millisecond)
	got, err := client.Get(t.Context(), "/late/L0")
	require.NoError(t, err)
	assert.Empty(t, got.Kvs)
	require.NoError(t, p.Close())
}

// A server that does not answer for long is told of before the lock is lost.
func TestDoubtful(t *testing.T) {
	s := etcdtest.Start(t, etcdtest.Embedded)
	proxy := etcdtest.Via(t, s)
	told := make(chan string, 10)
	log := slog.New(messages(told))
	d, err := New(etcdtest.Client(t, proxy.Endpoint), WithTTL(4*time.Second), WithLogger(log)).Dir("/doubt")
	require.NoError(t, err)
	f, err := d.Create("L0", nil)
	require.NoError(t, err)
	proxy.Cut()
	assert.Equal(t, "lease doubtful", <-told)
	select {
	case <-fsys.EndOf(f):
		t.Error("the lease has ended before")
	default:
	}
	proxy.Mend()
	select {
	case msg := <-told:
		assert.Equal(t, "lease renewed", msg)
	case <-fsys.EndOf(f): // this machine is slow
	}
	require.NoError(t, f.Close())
}

type messages chan string

func (messages) Enabled(context.Context, slog.Level) bool { return true }
func (c messages) Handle(_ context.Context, r slog.Record) error {
	c <- r.Message
	return nil
}
func (c messages) WithAttrs([]slog.Attr) slog.Handler { return c }
func (c messages) WithGroup(string) slog.Handler      { return c }

// The caller's context ends a request, and our own patience is no such error.
func TestPatience(t *testing.T) {
	s := etcdtest.Start(t, etcdtest.Embedded)
	proxy := etcdtest.Via(t, s)
	d, err := New(etcdtest.Client(t, proxy.Endpoint), WithTimeout(200*time.Millisecond)).Dir("/patience")
	require.NoError(t, err)
	_, err = d.List("")
	require.NoError(t, err)
	proxy.Cut()
	for _, op := range []func(fsys.Dir) error{
		func(d fsys.Dir) error { _, err := d.Read("L0"); return err },
		func(d fsys.Dir) error { _, err := d.Create("L0", nil); return err },
		func(d fsys.Dir) error { _, err := fsys.Swap(d, "L0", fsys.Snapshot{}, nil); return err },
		func(d fsys.Dir) error { return d.Remove("L0") },
		func(d fsys.Dir) error { _, err := d.List(""); return err },
		func(d fsys.Dir) error { _, _, err := fsys.Watch(d, "L0"); return err },
		func(d fsys.Dir) error { _, err := fsys.Prepare(d, 0); return err },
	} {
		err := op(d)
		require.ErrorIs(t, err, fsys.ErrUnavailable)
		require.NotErrorIs(t, err, context.DeadlineExceeded)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		o, err := fsys.Open(d)
		require.NoError(t, err)
		require.ErrorIs(t, op(fsys.WithContext(ctx, o)), context.DeadlineExceeded)
		cancel()
	}
}
