package etcdfs

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/dirlock/dirlock/fsys"
)

// The queue of those that wait for a file. Each has a key below that of the file, on
// its lease, and watches the one that was made before it; the first one watches the
// file. So a release wakes one process, and not all.

var _ fsys.Queuer = (*dir)(nil)

// place is one in the queue for a file.
type place struct {
	dir  *dir
	name string
	key  string
	ctx  context.Context // until stop
	stop context.CancelFunc
	turn chan struct{}
}

// places tells the keys of one lease apart.
var places atomic.Uint64

// Queue implements [fsys.Queuer].
func (d *dir) Queue(name string) (<-chan struct{}, func(), error) {
	if !valid(name) {
		return nil, nil, d.pathError("queue", name, errFileName)
	}
	p := &place{dir: d.outlasting(), name: name, turn: make(chan struct{}, 1)}
	p.ctx, p.stop = context.WithCancel(context.Background())
	ctx, cancel := d.request()
	defer cancel()
	l, revision, err := p.enter(ctx)
	if err != nil {
		p.stop()
		return nil, nil, d.fail("queue", name, err)
	}
	go p.run(l, revision)
	return p.turn, p.stop, nil
}

// queue is what the keys of the places begin with.
func (p *place) queue() string { return p.dir.key(p.name) + "/waiting-" }

// enter takes the last place.
func (p *place) enter(ctx context.Context) (*lease, int64, error) {
	l, err := p.dir.handle.take(ctx)
	if err != nil {
		return nil, 0, err
	}
	p.key = fmt.Sprintf("%s%s-%d", p.queue(), leaseName(l.id), places.Add(1))
	resp, err := p.dir.client.Put(ctx, p.key, "", clientv3.WithLease(l.id))
	if err != nil {
		l.end()
		l.release()
		return nil, 0, err
	}
	p.dir.handle.stands(p)
	return l, resp.Header.Revision, nil
}

// run stands in the queue until stop, and takes another place if this one is lost.
func (p *place) run(l *lease, revision int64) {
	for {
		ctx, cancel := context.WithCancel(l.ctx)
		context.AfterFunc(p.ctx, cancel)
		_ = p.follow(ctx, revision) // whatever is wrong will show when it enters again
		cancel()
		p.leave(l)
		for {
			if p.ctx.Err() != nil {
				return
			}
			ctx, cancel := context.WithTimeout(p.ctx, p.dir.timeout)
			var err error
			l, revision, err = p.enter(ctx)
			cancel()
			if err == nil {
				break
			}
			sleep(p.ctx, rewatch)
		}
		p.wake() // for what happened in between
	}
}

// follow waits for its turn, and tells of every turn after that.
func (p *place) follow(ctx context.Context, revision int64) error {
	for {
		resp, err := p.dir.client.Get(ctx, p.queue(), clientv3.WithPrefix(), clientv3.WithKeysOnly(),
			clientv3.WithSort(clientv3.SortByCreateRevision, clientv3.SortDescend), clientv3.WithLimit(1),
			clientv3.WithMaxCreateRev(revision-1))
		if err != nil {
			return err
		}
		if len(resp.Kvs) == 0 {
			return p.removals(ctx, p.dir.key(p.name), func() bool { p.wake(); return true })
		}
		if err := p.removals(ctx, string(resp.Kvs[0].Key), func() bool { return false }); err != nil {
			return err
		}
	}
}

// removals calls f if a key is not there, and each time that it is removed, until f
// returns false.
func (p *place) removals(ctx context.Context, key string, f func() (more bool)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w := &watch{dir: p.dir, key: key, ctx: ctx}
	events, err := w.begin(ctx)
	if err != nil {
		return err
	}
	got, err := p.dir.client.Get(ctx, key, clientv3.WithCountOnly())
	if err != nil {
		return err
	}
	if got.Count == 0 && !f() {
		return nil
	}
	for resp := range events {
		for _, e := range resp.Events {
			if e.Type == mvccpb.DELETE && !f() {
				return nil
			}
		}
	}
	return fmt.Errorf("%w: the watch has ended", fsys.ErrUnavailable)
}

func (p *place) wake() {
	select {
	case p.turn <- struct{}{}:
	default:
	}
}

// leave gives the place up. If that is impossible, it stays until its lease ends.
func (p *place) leave(l *lease) {
	defer l.release()
	if !p.dir.handle.leaves(p) {
		return // it went when the file was made
	}
	for !l.ended() {
		ctx, cancel := context.WithTimeout(l.ctx, p.dir.timeout)
		_, err := p.dir.client.Delete(ctx, p.key)
		cancel()
		if err == nil {
			return
		}
		sleep(l.ctx, rewatch)
	}
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
