package etcdfs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path"
	"strings"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/dirlock/dirlock/fsys"
)

// dir is a prefix of keys.
type dir struct {
	*FS
	path   string
	handle *handle
	ctx    context.Context // of the caller, or nil
}

var (
	_ fsys.Opener    = (*dir)(nil)
	_ fsys.OpenDir   = (*dir)(nil)
	_ fsys.Witnesser = (*dir)(nil)
	_ fsys.Localizer = (*dir)(nil)
	_ fsys.Watcher   = (*dir)(nil)
	_ fsys.Preparer  = (*dir)(nil)
	_ fsys.Swapper   = (*dir)(nil)
	_ fsys.Contexter = (*dir)(nil)
	_ fsys.FS        = (*FS)(nil)
)

// Path implements [fsys.Dir].
func (d *dir) Path() string { return d.path }

// Open implements [fsys.Opener]. A prefix needs no opening.
func (d *dir) Open() (fsys.OpenDir, error) { return d, nil }

// Close implements [fsys.OpenDir].
func (d *dir) Close() error { return nil }

// WithContext implements [fsys.Contexter].
func (d *dir) WithContext(ctx context.Context) fsys.Dir {
	with := *d
	with.ctx = ctx
	return &with
}

// Witnesses implements [fsys.Witnesser].
func (d *dir) Witnesses() (fsys.Witness, error) { return fsys.Leased, nil }

// Locate implements [fsys.Localizer]. The mount is the cluster.
func (d *dir) Locate() (fsys.Location, error) {
	if d.cluster.Load() == 0 {
		ctx, cancel := d.request()
		defer cancel()
		resp, err := d.client.Get(ctx, d.key(""), clientv3.WithSerializable(), clientv3.WithCountOnly())
		if err != nil {
			return fsys.Location{}, d.fail("locate", "", err)
		}
		d.know(resp.Header)
	}
	return fsys.Location{Type: "etcd", Mount: fmt.Sprintf("%x", d.cluster.Load())}, nil
}

func (f *FS) know(h *etcdserverpb.ResponseHeader) { f.cluster.Store(h.GetClusterId()) }

// Create implements [fsys.Dir].
func (d *dir) Create(name string, data []byte) (fsys.File, error) {
	return d.put("create", name, data, 0)
}

// Swap implements [fsys.Swapper].
func (d *dir) Swap(name string, old fsys.Snapshot, data []byte) (fsys.File, error) {
	revision := old.ID[0]
	if revision == 0 {
		revision = math.MaxInt64 // that of no file
	}
	return d.put("swap", name, data, revision)
}

// put makes a file if the name has that revision: none is 0.
func (d *dir) put(op, name string, data []byte, revision uint64) (fsys.File, error) {
	switch {
	case !valid(name):
		return nil, d.pathError(op, name, errFileName)
	case len(data) > fsys.MaxData:
		return nil, d.pathError(op, name, errTooLong)
	case d.caller().Err() != nil:
		return nil, d.pathError(op, name, d.caller().Err())
	}
	ctx, cancel := d.request()
	defer cancel()
	for again := true; ; again = false {
		l, err := d.handle.take(ctx)
		if err != nil {
			return nil, d.fail(op, name, err)
		}
		f, err := d.putWith(ctx, l, name, data, revision)
		switch {
		case err == nil && !l.ended():
			return f, nil
		case err == nil:
			err = fmt.Errorf("%w: the lease ended meanwhile", fsys.ErrUnavailable)
		case errors.Is(err, rpctypes.ErrLeaseNotFound):
			l.end() // nothing was done
			l.release()
			if again {
				continue
			}
			return nil, d.fail(op, name, err)
		default:
			err = explain(d.caller(), err)
		}
		if mayBeDone(err) {
			l.end() // a file that appears later disappears with its lease
		}
		l.release()
		return nil, d.pathError(op, name, err)
	}
}

// putWith asks the server once.
func (d *dir) putWith(ctx context.Context, l *lease, name string, data []byte, revision uint64) (fsys.File, error) {
	key := d.key(name)
	ops := []clientv3.Op{clientv3.OpPut(key, string(data), clientv3.WithLease(l.id))}
	place := d.handle.waitsFor(name)
	if place != nil {
		ops = append(ops, clientv3.OpDelete(place.key)) // the next one's turn
	}
	resp, err := d.client.Txn(ctx).
		If(clientv3.Compare(clientv3.ModRevision(key), "=", int64(revision))).
		Then(ops...).
		Else(clientv3.OpGet(key)).
		Commit()
	if err != nil {
		return nil, err
	}
	d.know(resp.Header)
	if resp.Succeeded {
		d.handle.leaves(place)
		return &file{dir: d.outlasting(), name: name, lease: l, revision: resp.Header.Revision}, nil
	}
	switch kvs := resp.Responses[0].GetResponseRange().Kvs; {
	case len(kvs) == 0 && revision != 0:
		return nil, fs.ErrNotExist
	case len(kvs) == 1 && kvs[0].Lease == int64(l.id) && string(kvs[0].Value) == string(data):
		// The request was sent again on its way, and this is the second answer.
		return &file{dir: d.outlasting(), name: name, lease: l, revision: kvs[0].ModRevision}, nil
	}
	return nil, fs.ErrExist
}

// outlasting is d without the context of the caller.
func (d *dir) outlasting() *dir {
	o := *d
	o.ctx = nil
	return &o
}

// Read implements [fsys.Dir]. It asks the whole cluster, and writes nothing.
func (d *dir) Read(name string) (fsys.Snapshot, error) {
	if !valid(name) {
		return fsys.Snapshot{}, d.pathError("read", name, errFileName)
	}
	ctx, cancel := d.request()
	defer cancel()
	kv, err := d.get(ctx, name)
	switch {
	case err != nil:
		return fsys.Snapshot{}, d.fail("read", name, err)
	case kv == nil:
		return fsys.Snapshot{}, d.pathError("read", name, fs.ErrNotExist)
	}
	s := fsys.Snapshot{Data: kv.Value[:min(len(kv.Value), fsys.MaxData)], Witness: fsys.Ended, ID: fsys.ID{uint64(kv.ModRevision)}}
	if kv.Lease != 0 {
		s.Witness = fsys.Leased // or the server would have removed the key
	}
	return s, nil
}

// get returns what is at a name, or nil.
func (d *dir) get(ctx context.Context, name string) (*mvccpb.KeyValue, error) {
	resp, err := d.client.Get(ctx, d.key(name))
	if err != nil {
		return nil, err
	}
	d.know(resp.Header)
	if len(resp.Kvs) == 0 {
		return nil, nil
	}
	return resp.Kvs[0], nil
}

// Replace implements [fsys.Dir]: a file that hangs on a lease is replaced by Swap.
func (d *dir) Replace(_, newname string) error {
	return d.pathError("replace", newname, errors.ErrUnsupported)
}

// Remove implements [fsys.Dir].
func (d *dir) Remove(name string) error {
	if !valid(name) {
		return d.pathError("remove", name, errFileName)
	}
	ctx, cancel := d.request()
	defer cancel()
	resp, err := d.client.Delete(ctx, d.key(name))
	if err != nil {
		return d.fail("remove", name, err)
	}
	if resp.Deleted == 0 {
		return d.pathError("remove", name, fs.ErrNotExist)
	}
	return nil
}

// List implements [fsys.Dir].
func (d *dir) List(prefix string) ([]string, error) {
	ctx, cancel := d.request()
	defer cancel()
	resp, err := d.client.Get(ctx, d.key(prefix), clientv3.WithPrefix(), clientv3.WithKeysOnly())
	if err != nil {
		return nil, d.fail("list", "", err)
	}
	var names []string
	for _, kv := range resp.Kvs {
		if name := strings.TrimPrefix(string(kv.Key), d.key("")); valid(name) {
			names = append(names, name)
		}
	}
	return names, nil
}

// key is that of a file.
func (d *dir) key(name string) string {
	if d.path == "/" {
		return d.prefix + "/" + name
	}
	return d.prefix + d.path + "/" + name
}

// caller is the context of the caller.
func (d *dir) caller() context.Context {
	if d.ctx == nil {
		return context.Background()
	}
	return d.ctx
}

// request is the context of one operation.
func (d *dir) request() (context.Context, context.CancelFunc) {
	return context.WithTimeout(d.caller(), d.timeout)
}

func (d *dir) pathError(op, name string, err error) error {
	return pathError(op, path.Join(d.path, name), err)
}

// fail names the operation and explains an error of the client.
func (d *dir) fail(op, name string, err error) error {
	return d.pathError(op, name, explain(d.caller(), err))
}

func valid(name string) bool {
	return name != "" && name != "." && name != ".." && !strings.ContainsAny(name, "\x00/")
}

func leaseName(id clientv3.LeaseID) string { return fmt.Sprintf("%x", int64(id)) }
