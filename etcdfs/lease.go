package etcdfs

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// clock is one that runs while the machine sleeps, from any moment on.
type clock func() time.Duration

// handle is what one lock.DirLock has: a lease of its own, of which the loss of one
// lock is no loss of another.
type handle struct {
	fs *FS

	mu    sync.Mutex // held while a lease is granted
	lease *lease     // the last one, if it can still be used

	queue sync.Mutex
	place *place // in the queue for a file, if it stands in one
}

// stands notes the place that the handle has now.
func (h *handle) stands(p *place) {
	h.queue.Lock()
	defer h.queue.Unlock()
	h.place = p
}

// leaves tells whether the handle still has the place, and that it has no more.
func (h *handle) leaves(p *place) bool {
	h.queue.Lock()
	defer h.queue.Unlock()
	if h.place != p {
		return false
	}
	h.place = nil
	return true
}

// waitsFor returns the place in the queue for a file, or nil.
func (h *handle) waitsFor(name string) *place {
	h.queue.Lock()
	defer h.queue.Unlock()
	if h.place != nil && h.place.name == name {
		return h.place
	}
	return nil
}

// lease is one at the server, as far as we may rely on it.
//
// The server counts from when it gets a renewal, and we count from before we sent it.
// Both count the same time, but for the rates of two clocks and for what passes until
// somebody is told: that is the margin.
type lease struct {
	fs     *FS
	id     clientv3.LeaseID
	ttl    time.Duration
	margin time.Duration
	ctx    context.Context // done when the lease must be taken for ended
	end    context.CancelFunc
	used   chan struct{} // receives when it has users again

	mu       sync.Mutex
	sent     time.Duration // when the last renewal was sent that was answered
	renewal  time.Duration // when to send the next one
	users    int           // files and prepared files
	doubtful bool          // and the logger knows
}

// Parts of the time that a lease lasts.
const (
	marginPart  = 8  // is kept back
	renewPart   = 3  // passes between two renewals, or up to a quarter less
	retryPart   = 20 // … after one that failed, or up to half less
	attemptPart = 5  // is for the answer to one
)

// take returns a lease for one more user.
func (h *handle) take(ctx context.Context) (*lease, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if l := h.lease; l != nil && l.use() {
		return l, nil
	}
	h.lease = nil
	seconds := int64((h.fs.ttl + time.Second - 1) / time.Second)
	sent := h.fs.clock()
	granted, err := h.fs.client.Grant(ctx, seconds)
	if err != nil {
		return nil, err // if it was granted, it ends by itself
	}
	h.fs.know(granted.ResponseHeader)
	l := &lease{fs: h.fs, id: granted.ID, ttl: time.Duration(granted.TTL) * time.Second, sent: sent, users: 1, used: make(chan struct{}, 1)}
	l.margin = l.ttl / marginPart
	l.renewal = sent + l.pause()
	l.ctx, l.end = context.WithCancel(context.Background())
	h.lease = l
	go l.tend()
	return l, nil
}

// use adds a user, unless too little time is left.
func (l *lease) use() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ctx.Err() != nil || l.left() < l.ttl/2 {
		return false
	}
	if l.users++; l.users == 1 {
		select {
		case l.used <- struct{}{}:
		default:
		}
	}
	return true
}

// release takes a user away. A lease without users is not renewed. The next user
// may come soon: it ends by itself.
func (l *lease) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.users--
}

// left is how long the lease can be relied on. The mutex is held.
func (l *lease) left() time.Duration { return l.sent + l.ttl - l.margin - l.fs.clock() }

// ended tells whether the lease must be taken for ended. It asks the clock: after a
// stop of this process nobody else may have looked at it yet.
func (l *lease) ended() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.left() <= 0 {
		l.end()
	}
	return l.ctx.Err() != nil
}

// pause is the time between two renewals. Not all processes of a machine that woke
// up send theirs at once.
func (l *lease) pause() time.Duration {
	d := l.ttl / renewPart
	return d - rand.N(d/4)
}

// tend renews the lease while it has users, and ends it when its time is over.
func (l *lease) tend() {
	defer l.revoke()
	answers := make(chan error, 1)
	waiting := false
	for !l.ended() {
		d, due := l.next()
		if due && !waiting {
			waiting = true
			go func() { answers <- l.renew() }()
		}
		// A timer stands still while the machine sleeps.
		timer := time.NewTimer(min(d, l.margin/2))
		select {
		case <-timer.C:
		case <-l.used:
		case err := <-answers:
			waiting = false
			l.answered(err)
		case <-l.ctx.Done():
		}
		timer.Stop()
	}
}

// next is when to look again, and whether a renewal is due.
func (l *lease) next() (d time.Duration, due bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	d = max(l.left(), time.Millisecond)
	if l.users == 0 {
		return d, false
	}
	wait := l.renewal - l.fs.clock()
	if wait <= 0 {
		return d, true
	}
	return min(d, wait), false
}

// renew asks the server for more time.
func (l *lease) renew() error {
	ctx, cancel := context.WithTimeout(l.ctx, l.ttl/attemptPart)
	defer cancel()
	sent := l.fs.clock()
	resp, err := l.fs.client.KeepAliveOnce(ctx, l.id)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent = max(l.sent, sent)
	l.ttl = min(l.ttl, time.Duration(resp.TTL)*time.Second)
	return nil
}

// answered plans the next renewal.
func (l *lease) answered(err error) {
	if errors.Is(err, rpctypes.ErrLeaseNotFound) {
		l.end()
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.fs.clock()
	log := l.fs.log.With(slog.String("lease", leaseName(l.id)))
	switch {
	case err == nil:
		l.renewal = now + l.pause()
		if l.doubtful {
			log.Info("lease renewed")
		}
		l.doubtful = false
		return
	case l.left() < (l.ttl-l.margin)/2 && !l.doubtful && l.users > 0:
		l.doubtful = true
		log.Warn("lease doubtful", slog.Duration("left", l.left()), slog.Any("err", err))
	}
	d := l.ttl / retryPart
	l.renewal = now + d - rand.N(d/2)
}

// revoke ends the lease at the server, too, which removes what still hangs on it. If
// that fails, the server ends it by itself a moment later.
func (l *lease) revoke() {
	ctx, cancel := context.WithTimeout(context.Background(), l.ttl)
	defer cancel()
	for ctx.Err() == nil {
		_, err := l.fs.client.Revoke(ctx, l.id)
		if err == nil || errors.Is(err, rpctypes.ErrLeaseNotFound) {
			return
		}
		sleep(ctx, l.ttl/retryPart)
	}
}
