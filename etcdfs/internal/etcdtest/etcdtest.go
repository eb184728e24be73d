// Package etcdtest starts real etcd servers for tests, of this machine alone: the one
// that is built in, and the one that is installed.
package etcdtest

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/version"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
)

// patience is how long a server may take to begin or to end.
const patience = 30 * time.Second

// Server is one that runs.
type Server struct {
	// Endpoint is where clients connect to.
	Endpoint string
	// Version is that of the server.
	Version string

	dir     string
	address string
	peer    string // of a cluster
	members string
	name    string
	running *embed.Etcd
	start   func(s *Server) (stop func())
	stop    func()
}

// Kinds of servers.
const (
	Embedded  = "embedded"  // go.etcd.io/etcd/server of this module
	Installed = "installed" // the etcd of the PATH, as of Debian's etcd-server
)

// Start starts a server of a kind, and stops it when the test has ended. It skips the
// test if there is none.
func Start(t testing.TB, kind string) *Server {
	t.Helper()
	dir, err := os.MkdirTemp("", "etcd")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	// The URLs of unix sockets, too, must have a host and a port for etcd, and become
	// files in the working directory. So it is the loopback interface.
	s := &Server{dir: dir, address: freePort(t)}
	s.Endpoint = "http://" + s.address
	switch kind {
	case Embedded:
		s.start = func(s *Server) func() { return s.embed(t) }
	default:
		path, err := exec.LookPath("etcd")
		if err != nil {
			t.Skip("there is no etcd: install Debian's etcd-server")
		}
		s.start = func(s *Server) func() { return s.exec(t, path) }
	}
	s.Begin()
	t.Cleanup(s.End)
	return s
}

// Begin starts the server again, with the data that it had.
func (s *Server) Begin() { s.stop = s.start(s) }

// End stops the server.
func (s *Server) End() {
	if s.stop != nil {
		s.stop()
		s.stop = nil
	}
}

// Cluster starts so many embedded servers, which are one cluster.
func Cluster(t testing.TB, n int) []*Server {
	t.Helper()
	var all []*Server
	var members []string
	for i := range n {
		s := &Server{dir: t.TempDir(), address: freePort(t), peer: freePort(t), name: fmt.Sprint("m", i)}
		s.Endpoint = "http://" + s.address
		s.start = func(s *Server) func() { return s.embed(t) }
		members = append(members, s.name+"=http://"+s.peer)
		all = append(all, s)
	}
	var wg sync.WaitGroup
	for _, s := range all {
		s.members = strings.Join(members, ",")
		wg.Go(s.Begin)
	}
	wg.Wait()
	t.Cleanup(func() {
		for _, s := range all {
			s.End()
		}
	})
	return all
}

// ID is that of the member.
func (s *Server) ID() uint64 { return uint64(s.running.Server.MemberID()) }

// IsLeader tells whether the member is the leader now.
func (s *Server) IsLeader() bool { return s.running.Server.Leader() == s.running.Server.MemberID() }

func urls(address string) []url.URL { return []url.URL{{Scheme: "http", Host: address}} }

func (s *Server) embed(t testing.TB) (stop func()) {
	cfg := embed.NewConfig()
	cfg.Dir = filepath.Join(s.dir, "data")
	if s.peer == "" {
		s.peer = freePort(t)
	}
	client, peer := urls(s.address), urls(s.peer)
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = client, client
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = peer, peer
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	if s.members != "" {
		cfg.Name, cfg.InitialCluster = s.name, s.members
	}
	cfg.UnsafeNoFsync = true
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	e, err := embed.StartEtcd(cfg)
	require.NoError(t, err)
	select {
	case <-e.Server.ReadyNotify():
	case <-time.After(patience):
		e.Close()
		t.Fatal("the embedded etcd does not begin")
	}
	s.Version, s.running = version.Version, e
	return e.Close
}

func (s *Server) exec(t testing.TB, path string) (stop func()) {
	client, peer := s.Endpoint, "http://"+freePort(t)
	cmd := exec.Command(path, "--data-dir", filepath.Join(s.dir, "data"),
		"--listen-client-urls", client, "--advertise-client-urls", client,
		"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", "default="+peer)
	var log strings.Builder
	cmd.Stderr = &log
	cmd.SysProcAttr = dieWithParent()
	require.NoError(t, cmd.Start())
	stop = func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		kill := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		kill.Stop()
	}
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{s.Endpoint}, Logger: zap.NewNop()})
	require.NoError(t, err)
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		status, err := c.Status(ctx, s.Endpoint)
		if err == nil && status.Leader != 0 {
			s.Version = status.Version
			return stop
		}
		if ctx.Err() != nil {
			stop()
			t.Fatalf("the installed etcd does not begin: %v\n%s", err, log.String())
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// freePort returns an address of this machine that nobody listened on a moment ago.
func freePort(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

// Client returns a client of the server.
func (s *Server) Client(t testing.TB) *clientv3.Client { return Client(t, s.Endpoint) }

// Client returns a client of endpoints, and closes it when the test has ended.
func Client(t testing.TB, endpoints ...string) *clientv3.Client {
	c, err := clientv3.New(clientv3.Config{
		Endpoints: endpoints, Logger: zap.NewNop(),
		DialKeepAliveTime: time.Second, DialKeepAliveTimeout: time.Second,
	})
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// Each runs a test on servers of both kinds, at the same time.
func Each(t *testing.T, f func(t *testing.T, s *Server)) {
	for _, kind := range []string{Embedded, Installed} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s := Start(t, kind)
			t.Log(fmt.Sprint("etcd ", s.Version))
			f(t, s)
		})
	}
}
