package etcdfs_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/dirlock/dirlock/etcdfs"
	"github.com/dirlock/dirlock/etcdfs/internal/etcdtest"
	"github.com/dirlock/dirlock/fsys"
	"github.com/dirlock/dirlock/fsys/fsystest"
)

// The suite, on both servers.
func TestConformance(t *testing.T) {
	etcdtest.Each(t, func(t *testing.T, s *etcdtest.Server) {
		one, two := s.Client(t), s.Client(t)
		var n atomic.Int32
		fsystest.Run(t, fsystest.Backend{
			New:     func() (fsys.FS, string) { return etcdfs.New(one), fmt.Sprint("/suite/", n.Add(1)) },
			Second:  func(fsys.FS) fsys.FS { return etcdfs.New(two) },
			Flat:    true,
			Foreign: func(kind fsystest.Kind, dir, name string) error { return foreign(t.Context(), two, kind, dir+"/"+name) },
		})
	})
}

// foreign does what other programs do to a key.
func foreign(ctx context.Context, c *clientv3.Client, kind fsystest.Kind, key string) error {
	value := ""
	switch kind {
	case fsystest.Huge:
		value = string(make([]byte, 100*fsys.MaxData))
	case fsystest.Overwritten:
		value = "foreign"
	default:
		return fmt.Errorf("%w: keys are of one kind", errors.ErrUnsupported)
	}
	_, err := c.Put(ctx, key, value)
	return err
}

// The time of the tests of a directory is bounded by those of the server.
func TestNamesAreKeys(t *testing.T) {
	s := etcdtest.Start(t, etcdtest.Embedded)
	c := s.Client(t)
	for name, key := range map[string]string{"/a/b": "/x/a/b/L0", "a//b/": "/x/a/b/L0", "/": "/x/L0"} {
		d, err := etcdfs.New(c, etcdfs.WithPrefix("/x")).Dir(name)
		require.NoError(t, err)
		f, err := d.Create("L0", []byte("data"))
		require.NoError(t, err)
		got, err := c.Get(t.Context(), key)
		require.NoError(t, err)
		require.Len(t, got.Kvs, 1, name)
		require.NotZero(t, got.Kvs[0].Lease)
		removed, err := fsys.Remove(f, "L0")
		require.NoError(t, err)
		require.True(t, removed)
		require.NoError(t, f.Close())
	}
	_, err := etcdfs.New(c).Dir("")
	require.Error(t, err)
}
