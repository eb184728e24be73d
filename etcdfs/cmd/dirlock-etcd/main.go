// Command dirlock-etcd is dirlock for machines: its locks are in etcd. See
// docs/etcd.md.
package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/dirlock/dirlock/etcdfs"
	"github.com/dirlock/dirlock/fsys"
	"github.com/dirlock/dirlock/internal/cli"
)

func main() {
	var f flags
	cli.Main(cli.Store{
		Program: "dirlock-etcd",
		Long: `dirlock-etcd gives one process at a time exclusive use of something that machines
share. The lock is a key in etcd, NAME/L0, which says who holds the lock. It hangs
on a lease: when the holder or its machine dies, or cannot reach the server, the
lease ends, and the next one gets the lock; nobody has to clean up.

A holder that loses the lock is told before the next one can have it, and COMMAND is
told to end. What must not be written by two even then has to check DIRLOCK_TOKEN,
which COMMAND finds in its environment: see docs/etcd.md.

Flags and variables for the server are those of etcdctl: ETCDCTL_ENDPOINTS and so
on.`,
		Example: `  # Run a backup, unless one is running already, on any machine.
  dirlock-etcd run -n --endpoints https://etcd-1:2379 /locks/backup -- backup.sh

  # Who holds the lock?
  dirlock-etcd status /locks/backup`,
		Flags: f.add,
		Find:  f.find,
	})
}

// flags are those of etcdctl, and our own.
type flags struct {
	endpoints          []string
	cert, key, cacert  string
	insecureSkipVerify bool
	user, password     string
	dialTimeout        time.Duration
	ttl                time.Duration
	prefix             string

	fs *etcdfs.FS // once it was found
}

func (f *flags) add(set *pflag.FlagSet) {
	env := func(name, otherwise string) string {
		if value := os.Getenv("ETCDCTL_" + name); value != "" {
			return value
		}
		return otherwise
	}
	dial, err := time.ParseDuration(env("DIAL_TIMEOUT", "2s"))
	if err != nil {
		dial = 2 * time.Second
	}
	insecure, _ := strconv.ParseBool(env("INSECURE_SKIP_TLS_VERIFY", "false"))
	set.StringSliceVar(&f.endpoints, "endpoints", strings.Split(env("ENDPOINTS", "127.0.0.1:2379"), ","), "`URLS` of the servers")
	set.StringVar(&f.cert, "cert", env("CERT", ""), "identify by this TLS certificate `FILE`")
	set.StringVar(&f.key, "key", env("KEY", ""), "`FILE` with its key")
	set.StringVar(&f.cacert, "cacert", env("CACERT", ""), "verify servers by this bundle of CAs in `FILE`")
	set.BoolVar(&f.insecureSkipVerify, "insecure-skip-tls-verify", insecure, "do not verify servers (for tests)")
	set.StringVar(&f.user, "user", env("USER", ""), "`NAME[:PASSWORD]` of the user")
	set.StringVar(&f.password, "password", env("PASSWORD", ""), "`PASSWORD` of the user")
	set.DurationVar(&f.dialTimeout, "dial-timeout", dial, "give up a request after `DURATION` without an answer")
	set.DurationVar(&f.ttl, "ttl", 15*time.Second, "the lock is free `DURATION` after its holder is gone")
	set.StringVar(&f.prefix, "prefix", "", "what all keys begin with, before NAME")
}

// find returns the file system of a lock, and the path of its directory there.
func (f *flags) find(name string) (fsys.FS, string, error) {
	if f.fs == nil {
		c, err := f.client()
		if err != nil {
			return nil, "", err
		}
		f.fs = etcdfs.New(c, etcdfs.WithTTL(f.ttl), etcdfs.WithPrefix(f.prefix), etcdfs.WithTimeout(f.dialTimeout))
	}
	return f.fs, path.Clean("/" + name), nil
}

// client connects when it is used.
func (f *flags) client() (*clientv3.Client, error) {
	user, password, ok := strings.Cut(f.user, ":")
	if !ok {
		password = f.password
	}
	secure, err := f.tls()
	if err != nil {
		return nil, err
	}
	c, err := clientv3.New(clientv3.Config{
		Endpoints: f.endpoints, TLS: secure, Username: user, Password: password, DialTimeout: f.dialTimeout,
		DialKeepAliveTime: f.ttl / 3, DialKeepAliveTimeout: f.ttl / 5, Logger: zap.NewNop(),
	})
	if err != nil {
		return nil, fmt.Errorf("etcd client: %w", err)
	}
	return c, nil
}

// tls is nil without TLS.
func (f *flags) tls() (*tls.Config, error) {
	info := transport.TLSInfo{CertFile: f.cert, KeyFile: f.key, TrustedCAFile: f.cacert, InsecureSkipVerify: f.insecureSkipVerify}
	secure := f.cacert != "" || f.cert != "" || f.key != "" || f.insecureSkipVerify
	for _, endpoint := range f.endpoints {
		secure = secure || strings.HasPrefix(endpoint, "https://")
	}
	switch {
	case !secure:
		return nil, nil
	case (f.cert == "") != (f.key == ""):
		return nil, errors.New("--cert and --key belong together")
	}
	c, err := info.ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("TLS: %w", err)
	}
	return c, nil
}
