// Command vms is a laboratory of virtual machines: it starts some, with kernels and
// programs from packages of Debian, and tries in them what cannot be tried on one
// machine, such as a network file system or a power cut.
//
//	go run ./internal/testutil/vms -run nfs,power
//
// It needs Debian and qemu, and no KVM: everything is emulated. The guests are
// joined by unix sockets, and nothing touches the network of the host. Packages
// are downloaded by apt, unpacked and not installed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	var o labOptions
	cache, _ := os.UserCacheDir()
	names := flag.String("run", strings.Join(scenarioNames(), ","), "which `scenarios`, separated by commas")
	flag.StringVar(&o.cache, "cache", filepath.Join(cache, "dirlock-vms"), "`directory` for downloads")
	flag.StringVar(&o.dir, "dir", "", "`directory` for logs and disks, kept (default: a temporary one)")
	flag.DurationVar(&o.torture, "torture", time.Minute, "how long each contention takes")
	flag.IntVar(&o.cycles, "cycles", 30, "how many power cuts")
	flag.DurationVar(&o.patience, "patience", 15*time.Minute, "how long the tests of one package may take in a guest")
	flag.BoolVar(&o.quick, "quick", false, "only NFSv4.2 and 3")
	fetch := flag.Bool("fetch", false, "only get the packages for NFS and power cuts, and build")
	limit := flag.Duration("limit", 90*time.Minute, "how long all of it may take")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, *limit)
	defer cancel()
	wanted := strings.Split(*names, ",")
	if *fetch {
		wanted = []string{"fetch"}
	}
	if err := run(ctx, o, wanted); err != nil {
		fmt.Fprintln(os.Stderr, "vms:", err)
		os.Exit(1)
	}
}

// scenario is one part of the lab. It reports rows, and panics with a failure if
// it cannot go on.
type scenario struct {
	name string
	run  func(*lab)
	nfs  bool // with the server and its clients, which may be there already
}

var scenarios = []scenario{
	{"fetch", (*lab).fetch, false},
	{"verdicts", (*lab).nfsVerdicts, true},
	{"crashes", (*lab).nfsCrashes, true},
	{"restarts", (*lab).nfsRestarts, true},
	{"contention", (*lab).nfsContention, true},
	{"power", (*lab).power, false},
	{"shares", (*lab).shares, false},
	{"snapshot", (*lab).snapshot, false},
	{"user", (*lab).emulators, false},
	{"kernels", (*lab).kernels, false},
	{"s390x", (*lab).bigEndian, false},
	{"386", (*lab).intel32, false},
}

func scenarioNames() (names []string) {
	for _, s := range scenarios {
		names = append(names, s.name)
	}
	return names
}

// fetch gets all that NFS and power cuts need, and starts no guest.
func (l *lab) fetch() {
	l.nfsInitrd()
	l.powerInitrd()
	l.report("packages and programs", true, "kernel %s", l.kernel.version)
}

func run(ctx context.Context, o labOptions, names []string) (err error) {
	for _, n := range names {
		if !slices.Contains(scenarioNames(), n) {
			return fmt.Errorf("no scenario %s: there are %s", n, strings.Join(scenarioNames(), ", "))
		}
	}
	l, err := newLab(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	for _, s := range scenarios {
		if !slices.Contains(names, s.name) {
			continue
		}
		start := time.Now()
		l.section = s.name
		if !s.nfs {
			l.downAll()
		}
		failed := l.guarded(s.run)
		if err = errors.Join(err, failed); failed != nil {
			l.downAll()
		}
		fmt.Printf("=== %s: %v\n", s.name, time.Since(start).Round(time.Second))
	}
	fmt.Print(l.table())
	if n := l.failures(); n > 0 {
		err = errors.Join(err, fmt.Errorf("%d of %d went wrong", n, len(l.rows)))
	}
	return err
}
