package lock_test

import (
	"cmp"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/dirlock/dirlock/fsys"
	"github.com/dirlock/dirlock/fsys/osfs"
	"github.com/dirlock/dirlock/internal/testutil/reexec"
	"github.com/dirlock/dirlock/lock"
)

func init() {
	reexec.Register("calls", calls)
}

// The paths of which each system call and each allocation is accounted for.
var paths = map[string]func(dir string) (prepare, op, after func()){
	// In no time, so that it was released a moment ago.
	"lock and unlock": func(dir string) (prepare, op, after func()) {
		now := time.Now()
		l := lock.New(dir, lock.WithClock(func() time.Time { return now })).Must()
		return func() {}, func() { l.TryLock(); l.Unlock() }, func() {}
	},
	"lock": func(dir string) (prepare, op, after func()) {
		l := lock.New(dir, rarely()).Must()
		return func() {}, func() { l.TryLock() }, func() { l.Unlock() }
	},
	"held": func(dir string) (prepare, op, after func()) {
		holder, l := lock.New(dir).Must(), lock.New(dir).Must()
		return func() { holder.TryLock() }, func() { l.TryLock() }, func() { holder.Unlock() }
	},
	"check": func(dir string) (prepare, op, after func()) {
		l := lock.New(dir)
		return func() { l.Must().TryLock() }, func() { _ = l.Check() }, func() { l.Must().Unlock() }
	},
	"recovery": func(dir string) (prepare, op, after func()) {
		stale, err := os.ReadFile(filepath.Join(filepath.Dir(dir), "stale"))
		l := lock.New(dir, rarely()).Must()
		return func() {
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, "L0"), stale, 0o644)
			}
		}, func() { l.TryLock() }, func() { l.Unlock() }
	},
}

// rarely is a clock that has moved on by a second whenever it is asked.
func rarely() lock.Option {
	now := time.Now()
	return lock.WithClock(func() time.Time {
		now = now.Add(time.Second)
		return now
	})
}

// calls does an operation, the third time between two marks.
func calls(args []string) {
	prepare, op, after := paths[args[0]](args[1])
	for n := range 3 {
		prepare()
		if n == 2 {
			_ = unix.Access("/begin", 0)
		}
		op()
		if n == 2 {
			_ = unix.Access("/end", 0)
		}
		after()
	}
}

// TestSystemCalls pins what each path asks of the kernel, in order. Whoever adds
// one has to say why.
func TestSystemCalls(t *testing.T) {
	if err := exec.Command("strace", "-o", os.DevNull, "true").Run(); err != nil {
		t.Skip("needs strace, and leave to trace: ", err)
	}
	d, err := osfs.New().Dir(t.TempDir())
	require.NoError(t, err)
	if p, err := fsys.Prepare(d, 0); err != nil {
		t.Skip("other file systems need other calls: ", err)
	} else {
		require.NoError(t, p.Close())
	}
	var stx unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, "/", 0, unix.STATX_MNT_ID_UNIQUE, &stx); err != nil || stx.Mask&unix.STATX_MNT_ID_UNIQUE == 0 {
		t.Skip("kernels before 6.8 have no lasting numbers for mounts, and are asked more")
	}
	if runtime.GOARCH != "amd64" {
		t.Skip("other architectures have other names for the same calls")
	}
	const (
		// A lock that is held is seen before the directory is opened. Else each call
		// opens it, once: which it is, and by which mount. It stays open while the
		// lock is held.
		open   = "openat statx "
		create = "openat F_OFD_SETLK pwrite64 fstat linkat"  // unnamed, locked, filled, its identity and mode, named
		held   = "openat fstat read F_OFD_GETLK close"       // fstat: that it is a file, and how long
		let    = "openat fstat read F_OFD_GETLK flock close" // no writer has it locked; a reader?
		absent = "openat"                                    // a look at nothing
		intact = "newfstatat pread64"                        // the name, the content
	)
	for name, want := range map[string]string{
		"lock and unlock": open + create + " " + intact + " unlinkat close close",
		"lock":            absent + " " + open + create,
		"held":            held,
		"check":           intact,
		// A look, whose owner has let go; L1; a second look; L1, which is seen to be ours in case the reply gets lost,
		// becomes L0; and what else the dead have left, by name. Nothing is
		// listed: what else is in the directory costs nothing.
		"recovery": let + " " + open + let + " " + create + " " + let + " newfstatat renameat " +
			strings.TrimSpace(strings.Repeat(absent+" ", lock.MaxGap)),
	} {
		t.Run(name, func(t *testing.T) {
			top := t.TempDir()
			dir, trace := filepath.Join(top, "dir"), filepath.Join(top, "trace")
			require.NoError(t, os.Mkdir(dir, 0o755))
			if name == "recovery" {
				require.NoError(t, reexec.Command(t, "die holding", dir).Run())
				require.NoError(t, os.Rename(filepath.Join(dir, "L0"), filepath.Join(top, "stale")))
			}
			cmd := reexec.Command(t, "calls", name, dir)
			cmd.Args = append([]string{
				"strace", "-f", "-qq", "-o", trace, "-e", "signal=none",
				"-e", "trace=%file,%desc,flock,kill,pidfd_open", cmd.Path,
			}, cmd.Args[1:]...)
			cmd.Path, _ = exec.LookPath("strace")
			require.NoError(t, cmd.Run())
			text, err := os.ReadFile(trace)
			require.NoError(t, err)
			_, between, ok := strings.Cut(string(text), "/begin")
			require.True(t, ok)
			between, _, ok = strings.Cut(between, "/end")
			require.True(t, ok)
			var got []string
			for _, m := range callName.FindAllStringSubmatch(between, -1) {
				if name := cmp.Or(m[2], m[1]); !ofRuntime.MatchString(name) {
					got = append(got, name)
				}
			}
			if got := strings.Join(got[:len(got)-1], " "); got != want {
				t.Errorf("the system calls are\n%s\nnot\n%s", got, want)
			}
		})
	}
}

// callName finds the calls in a trace, but not their resumption. Those of fcntl
// that are about locks go by their commands.
var callName = regexp.MustCompile(`(?m)^\d+ +(\w+)\((?:\d+, (F_OFD_\w+))?`)

// ofRuntime are the calls of Go's scheduler and memory.
var ofRuntime = regexp.MustCompile(`^(epoll_.*|eventfd.*|fcntl|mmap|write)$`)

// TestAllocations pins what each path allocates, at most.
func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates, too")
	}
	for name, most := range map[string]float64{
		"lock and unlock": 16, // one of them the open directory
		"held":            4,  // the same
		"check":           2,
	} {
		t.Run(name, func(t *testing.T) {
			prepare, op, after := paths[name](t.TempDir())
			prepare()
			defer after()
			got := testing.AllocsPerRun(200, op)
			assert.LessOrEqual(t, got, most)
			if got < most {
				t.Logf("only %v: pin it", got)
			}
		})
	}
}
