package lock_test

import (
	"errors"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dirlock/dirlock/fsys"
	"github.com/dirlock/dirlock/fsys/memfs"
	"github.com/dirlock/dirlock/lock"
	"github.com/dirlock/dirlock/proc/proctest"
)

// This file alone is what TestLossMutants builds.

// dirPath is the directory of a world.
var dirPath = filepath.FromSlash("/dir")

func at(name string) string { return filepath.Join(dirPath, name) }

// failing has all operations of these names fail.
func failing(names ...string) func(memfs.Op) error {
	return func(op memfs.Op) error {
		for _, name := range names {
			if op.String() == name || op.Name == name {
				return errInjected
			}
		}
		return nil
	}
}

var errInjected = errors.New("injected")

// losses are what takes a lock away.
var losses = map[string]func(d *memfs.Disk){
	"removed":           func(d *memfs.Disk) { d.Remove(at("L0")) },
	"moved away":        func(d *memfs.Disk) { d.Move(at("L0"), at("old")) },
	"replaced":          func(d *memfs.Disk) { d.Put(at("L0"), []byte("hello")) },
	"replaced by copy":  func(d *memfs.Disk) { d.Put(at("L0"), []byte(d.Entries(dirPath)["L0"].Data)) },
	"written to":        func(d *memfs.Disk) { d.Write(at("L0"), []byte("hello")) },
	"truncated":         func(d *memfs.Disk) { d.Write(at("L0"), nil) },
	"directory removed": func(d *memfs.Disk) { d.Remove(dirPath) },
	"directory moved":   func(d *memfs.Disk) { d.Move(dirPath, "/moved") },
	"directory replaced": func(d *memfs.Disk) {
		d.Move(dirPath, "/moved")
		d.Mkdir(dirPath)
	},
}

// isClosed tells whether a channel is closed, once all goroutines are idle.
func isClosed(c <-chan struct{}) bool {
	synctest.Wait()
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// bystanders are what other programs do beside a lock, which stays held.
var bystanders = []func(d *memfs.Disk){
	func(d *memfs.Disk) { d.Put(at("data"), []byte("data")) },
	func(d *memfs.Disk) { d.Link(at("L0"), at("copy")) },
	func(d *memfs.Disk) { d.Put(at("copy"), nil) },
	func(d *memfs.Disk) { d.Write(at("L0"), []byte(d.Entries(dirPath)["L0"].Data)) },
	func(d *memfs.Disk) { d.Lock(at("L0"), fsys.HeldWeakly) },
	func(d *memfs.Disk) { d.MountOver(dirPath); d.Unmount(dirPath) }, // nobody has looked meanwhile
	func(d *memfs.Disk) { d.Before(failing("intact")) },
	func(d *memfs.Disk) { d.Before(failing("watch")) },
	func(d *memfs.Disk) { d.Before(nil) },
	func(d *memfs.Disk) { d.Set(memfs.LostEvents(true)) },
	func(d *memfs.Disk) { d.Set(memfs.LostEvents(false)) },
	func(d *memfs.Disk) { d.Set(memfs.LateEvents(time.Second)) },
}

// Whatever goes on beside it, a loss is reported by the beat, and nothing else is
// reported: every two things that others do, in every order and at every distance
// that matters, and many at random.
func TestLossIsReportedAndNothingElse(t *testing.T) {
	names := slices.Sorted(maps.Keys(losses))
	lossIsReported := func(t *testing.T, doing []func(*memfs.Disk), pause func() time.Duration, how string) {
		synctest.Test(t, func(t *testing.T) {
			disk := memfs.New(dirPath)
			p := proctest.NewFake().Start("a")
			l := lock.New(dirPath, lock.WithFS(disk.As(p)), lock.WithProcesses(p))
			require.NoError(t, l.Lock())
			lost := l.Lost()
			for _, do := range doing {
				do(disk)
				time.Sleep(pause())
				require.False(t, isClosed(lost), "nothing has happened yet")
			}
			losses[how](disk)
			disk.Before(nil) // while nothing can be read, nothing is known
			select {
			case <-lost:
			case <-time.After(lock.LossBeat + 1):
				t.Errorf("%s: not told by the beat", how)
			}
			_ = l.Unlock()
			synctest.Wait()
			require.Zero(t, disk.Usage())
		})
	}
	for i, one := range bystanders {
		for j, two := range bystanders {
			for n, pause := range []time.Duration{0, lock.LossPoll, lock.LossBeat + time.Second} {
				how := names[(i+j+n)%len(names)]
				doing := []func(*memfs.Disk){one, two}
				lossIsReported(t, doing, func() time.Duration { return pause }, how)
			}
		}
	}
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 0))
		var doing []func(*memfs.Disk)
		for range random.IntN(30) {
			doing = append(doing, bystanders[random.IntN(len(bystanders))])
		}
		pause := func() time.Duration { return time.Duration(random.Int64N(int64(2 * time.Minute))) }
		lossIsReported(t, doing, pause, names[random.IntN(len(names))])
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// What happens while the watch begins, before the first look or after it, is
// noticed at once: the watch comes first.
func TestLossWhileTheWatchBegins(t *testing.T) {
	for _, how := range slices.Sorted(maps.Keys(losses)) {
		for _, at := range []string{"watch .", "watch L0", "intact L0"} {
			synctest.Test(t, func(t *testing.T) {
				disk := memfs.New(dirPath)
				p := proctest.NewFake().Start("a")
				l := lock.New(dirPath, lock.WithFS(disk.As(p)), lock.WithProcesses(p))
				require.NoError(t, l.Lock())
				disk.Before(func(op memfs.Op) error {
					if op.String() == at {
						disk.Before(nil)
						losses[how](disk)
					}
					return nil
				})
				lost := l.Lost()
				require.True(t, isClosed(lost), "%s before %s", how, at)
				_ = l.Unlock()
			})
		}
	}
}
