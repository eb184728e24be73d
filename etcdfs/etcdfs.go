// Package etcdfs keeps the locks of package lock in etcd, for programs on more than
// one machine. A directory is a prefix of keys, and every file hangs on a lease of
// its owner, which ends soon after the owner does:
//
//	client, err := clientv3.New(clientv3.Config{Endpoints: []string{"https://etcd-1:2379"}})
//	...
//	l := lock.New("/locks/backup", lock.WithFS(etcdfs.New(client)))
//	err = l.LockContext(ctx)
//
// Two owners never hold a lock by the order of the server, and a lost owner's late
// calls touch nothing. An owner is told of a loss (see lock.DirLock.Held) before the
// server lets anybody else have the lock. What the lock protects is safe from an owner
// that does not notice in time only if it checks the token (lock.DirLock.Token).
// docs/etcd.md has what is promised, and what is not.
package etcdfs

import (
	"log/slog"
	"path"
	"strings"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/dirlock/dirlock/fsys"
)

// FS is an [fsys.FS] in etcd. It is safe for concurrent use.
type FS struct {
	client *clientv3.Client
	options
	cluster atomic.Uint64 // its ID, once it is known
}

// Option changes what [New] makes.
type Option func(*options)

type options struct {
	ttl     time.Duration
	timeout time.Duration
	prefix  string
	log     *slog.Logger
	clock   clock
}

const (
	defaultTTL     = 15 * time.Second
	defaultTimeout = 5 * time.Second
	minTTL         = 2 * time.Second
)

// New returns a file system in etcd. The client is the caller's to close, after all
// locks are released.
func New(client *clientv3.Client, opts ...Option) *FS {
	f := &FS{client: client, options: options{
		ttl: defaultTTL, timeout: defaultTimeout, log: slog.New(slog.DiscardHandler), clock: sinceBoot,
	}}
	for _, opt := range opts {
		opt(&f.options)
	}
	return f
}

// WithTTL sets how long a lease lasts that is not renewed: the next owner waits so
// long, or a second more, if this machine is lost. The default is 15 s, the shortest
// 2 s. It is rounded up to a second. A process that cannot reach the server for about
// half of that time can lose its lock.
func WithTTL(ttl time.Duration) Option {
	return func(o *options) { o.ttl = max(ttl, minTTL) }
}

// WithTimeout sets how long one request waits for an answer of the server. The
// default is 5 s. After that, the error matches [fsys.ErrUnavailable].
func WithTimeout(d time.Duration) Option { return func(o *options) { o.timeout = d } }

// WithPrefix sets what all keys begin with, before the name of the directory.
func WithPrefix(prefix string) Option { return func(o *options) { o.prefix = prefix } }

// WithLogger sets where events go: "lease doubtful" at level Warn, if the server has
// not answered a renewal for half of the time that is left, and "lease renewed" at
// level Info if it does after that. The default is nowhere.
func WithLogger(log *slog.Logger) Option { return func(o *options) { o.log = log } }

// Dir implements [fsys.FS]. A relative name is one below "/".
func (f *FS) Dir(name string) (fsys.Dir, error) {
	if name == "" || strings.ContainsRune(name, 0) {
		return nil, pathError("dir", name, errName)
	}
	return &dir{FS: f, path: path.Clean("/" + name), handle: &handle{fs: f}}, nil
}
