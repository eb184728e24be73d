//go:build prometheus

package main

import (
	"io"
	"log/slog"
	"strings"

	"github.com/prometheus/prometheus/tsdb/tsdbutil"
)

// Prometheus's DirLocker drags 71 packages in, so it is compared on demand:
// go run -tags prometheus .
func init() {
	contenders = append(contenders, Contender{
		Name: "prometheus DirLocker", Import: "github.com/prometheus/prometheus/tsdb/tsdbutil",
		Open: func(dir string) Lock { return &prometheus{dir: dir} }, Polled: true, Shared: true,
	})
}

// prometheus makes a new DirLocker for every acquisition, as its users do: one
// is for one lock in the life of a process.
type prometheus struct {
	dir string
	l   *tsdbutil.DirLocker
}

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

func (p *prometheus) Lock() error { return polled(p.TryLock) }

func (p *prometheus) TryLock() (bool, error) {
	l, err := tsdbutil.NewDirLocker(p.dir, "bench", quiet, nil)
	if err != nil {
		return false, err
	}
	err = l.Lock()
	if err != nil && strings.Contains(err.Error(), "resource temporarily unavailable") {
		return false, nil
	}
	p.l = l
	return err == nil, err
}

func (p *prometheus) Unlock() error { return p.l.Release() }
