package etcdfs

import (
	"context"
	"errors"
	"io/fs"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/dirlock/dirlock/fsys"
)

// rewatch is the pause before a watch that has ended begins anew.
const rewatch = 250 * time.Millisecond

// Watch implements [fsys.Watcher]. It looks when the server has said that the watch
// is there: what happens after that look is among the events.
func (d *dir) Watch(name string) (<-chan struct{}, func(), error) {
	if !valid(name) {
		return nil, nil, d.pathError("watch", name, errFileName)
	}
	w := &watch{dir: d, key: d.key(name), changed: make(chan struct{}, 1)}
	w.ctx, w.stop = context.WithCancel(context.Background())
	ctx, cancel := d.request()
	defer cancel()
	events, err := w.begin(ctx)
	if err == nil {
		var there bool
		if there, err = d.exists(ctx, name); err == nil && !there {
			err = fs.ErrNotExist
		}
	}
	if err != nil {
		w.stop()
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil, d.pathError("watch", name, err)
		}
		return nil, nil, d.fail("watch", name, err)
	}
	go w.run(events)
	return w.changed, w.stop, nil
}

func (d *dir) exists(ctx context.Context, name string) (bool, error) {
	kv, err := d.get(ctx, name)
	return kv != nil, err
}

// watch is one of one key.
type watch struct {
	dir     *dir
	key     string
	ctx     context.Context
	stop    context.CancelFunc
	changed chan struct{}
}

// begin returns when the server has begun to watch.
func (w *watch) begin(ctx context.Context) (clientv3.WatchChan, error) {
	attempt, cancel := context.WithCancel(w.ctx)
	context.AfterFunc(w.ctx, cancel)
	began := make(chan begun, 1)
	go func() {
		// It waits for the server, whatever ctx is. A member without a leader ends
		// the watch, instead of keeping quiet.
		b := begun{events: w.dir.client.Watch(clientv3.WithRequireLeader(attempt), w.key, clientv3.WithCreatedNotify())}
		resp, ok := <-b.events
		if b.err = resp.Err(); !ok {
			b.err = fsys.ErrUnavailable
		}
		began <- b
	}()
	select {
	case b := <-began:
		if b.err != nil {
			cancel()
		}
		return b.events, b.err
	case <-ctx.Done():
		cancel()
		return nil, ctx.Err()
	}
}

type begun struct {
	events clientv3.WatchChan
	err    error
}

// run passes events on. If the watch ends, another one begins.
func (w *watch) run(events clientv3.WatchChan) {
	for {
		for resp := range events {
			if len(resp.Events) > 0 || resp.Err() != nil {
				w.wake()
			}
		}
		for {
			if w.ctx.Err() != nil {
				return
			}
			ctx, cancel := context.WithTimeout(w.ctx, w.dir.timeout)
			again, err := w.begin(ctx)
			cancel()
			if err == nil {
				events = again
				break
			}
			sleep(w.ctx, rewatch)
		}
		w.wake() // for what happened in between
	}
}

func (w *watch) wake() {
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// Prepare implements [fsys.Preparer]: the lease is what takes long.
func (d *dir) Prepare(int) (fsys.Prepared, error) {
	ctx, cancel := d.request()
	defer cancel()
	l, err := d.handle.take(ctx)
	if err != nil {
		return nil, d.fail("prepare", "", err)
	}
	return &prepared{dir: d, lease: l}, nil
}

// prepared is a lease that is kept for a file. The handle of the directory has it.
type prepared struct {
	dir   *dir
	lease *lease // nil: used up
}

// CreateIn implements [fsys.Prepared].
func (p *prepared) CreateIn(d fsys.Dir, name string, data []byte) (fsys.File, error) {
	if p.lease == nil {
		return nil, p.dir.pathError("create", name, fs.ErrClosed)
	}
	f, err := d.Create(name, data)
	if !errors.Is(err, fs.ErrExist) {
		_ = p.Close()
	}
	return f, err
}

// Close implements [fsys.Prepared].
func (p *prepared) Close() error {
	if p.lease != nil {
		p.lease.release()
		p.lease = nil
	}
	return nil
}
