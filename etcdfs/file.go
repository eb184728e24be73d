package etcdfs

import (
	"context"
	"io/fs"
	"sync"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/dirlock/dirlock/fsys"
)

// file is a key that we made. The revision of its last change is its identity and its
// token: it is that of the making, or else the file is not ours any more.
type file struct {
	dir      *dir
	name     string
	lease    *lease
	revision int64

	mu     sync.Mutex
	closed bool
	gone   bool // it was removed, by whomever
	asked  bool // to remove it, without an answer
}

var (
	_ fsys.Remover = (*file)(nil)
	_ fsys.Tokener = (*file)(nil)
	_ fsys.Ender   = (*file)(nil)
)

// Token implements [fsys.Tokener].
func (f *file) Token() (uint64, bool) { return uint64(f.revision), true }

// Ended implements [fsys.Ender].
func (f *file) Ended() <-chan struct{} { return f.lease.ctx.Done() }

// request is the context of an operation on the file. It ends with the lease, when
// the answer is known.
func (f *file) request() (context.Context, context.CancelFunc) {
	return context.WithTimeout(f.lease.ctx, f.dir.timeout)
}

// Intact implements [fsys.File].
func (f *file) Intact(name string) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.closed:
		return false, f.dir.pathError("intact", name, fs.ErrClosed)
	case !valid(name):
		return false, f.dir.pathError("intact", name, errFileName)
	case f.gone || f.lease.ended():
		return false, nil
	}
	ctx, cancel := f.request()
	defer cancel()
	kv, err := f.dir.get(ctx, name)
	switch {
	case f.lease.ended():
		return false, nil
	case err != nil:
		return false, f.dir.fail("intact", name, err)
	}
	intact := kv != nil && kv.ModRevision == f.revision
	f.gone = !intact && name == f.name
	return intact, nil
}

// Remove implements [fsys.Remover].
func (f *file) Remove(name string) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case !valid(name):
		return false, f.dir.pathError("remove", name, errFileName)
	case f.closed || f.gone || f.lease.ended():
		return false, nil
	}
	ctx, cancel := f.request()
	defer cancel()
	removed, err := f.removeIf(ctx, name)
	switch {
	case f.lease.ended():
		return removed && err == nil, nil
	case err != nil:
		err = explain(context.Background(), err)
		f.asked = f.asked || mayBeDone(err)
		return false, f.dir.pathError("remove", name, err)
	case name == f.name:
		f.gone = true
		removed = removed || f.asked // nobody else could, while the lease lasts
	}
	return removed, nil
}

// removeIf asks the server once.
func (f *file) removeIf(ctx context.Context, name string) (bool, error) {
	key := f.dir.key(name)
	resp, err := f.dir.client.Txn(ctx).
		If(clientv3.Compare(clientv3.ModRevision(key), "=", f.revision)).
		Then(clientv3.OpDelete(key)).
		Commit()
	return err == nil && resp.Succeeded, err
}

// Close implements [fsys.File]. A file that may still be there is removed, now or
// when its lease ends.
func (f *file) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return f.dir.pathError("close", f.name, fs.ErrClosed)
	}
	f.closed = true
	if f.gone || f.lease.ended() {
		f.lease.release()
		return nil
	}
	go f.letGo()
	return nil
}

// letGo removes the file if that is possible now, and gives the lease up if not.
func (f *file) letGo() {
	defer f.lease.release()
	ctx, cancel := f.request()
	defer cancel()
	if _, err := f.removeIf(ctx, f.name); err != nil {
		f.lease.end()
	}
}
