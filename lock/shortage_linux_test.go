package lock_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/dirlock/dirlock/internal/testutil/reexec"
	"github.com/dirlock/dirlock/lock"
	"github.com/dirlock/dirlock/proc/proctest"
)

func init() {
	reexec.Register("wait for many", waitForMany)
	reexec.Register("many handles", manyHandles)
}

func limitDescriptors() {
	limit := unix.Rlimit{Cur: 1024, Max: 1024}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		fmt.Println(err)
	}
}

// waitForMany waits for the locks of all directories in a directory, says
// "waiting" when it does so for all, and at last how often it got the lock, and
// why not.
func waitForMany(args []string) {
	limitDescriptors()
	dirs, err := filepath.Glob(filepath.Join(args[0], "*"))
	if err != nil {
		fmt.Println(err)
	}
	var waiting, done sync.WaitGroup
	var mu sync.Mutex
	answers := map[string]int{}
	for _, dir := range dirs {
		waiting.Add(1)
		done.Go(func() {
			l := lock.New(dir)
			var once sync.Once
			lock.BeforePause(l, func(time.Duration) { once.Do(waiting.Done) })
			err := l.LockContext(context.Background())
			once.Do(waiting.Done)
			if err == nil {
				err = l.Unlock()
			}
			mu.Lock()
			defer mu.Unlock()
			answers[fmt.Sprint(err)]++
		})
	}
	waiting.Wait()
	fmt.Println("waiting")
	done.Wait()
	fmt.Println(answers)
}

// A process can wait for about as many directories as it has descriptors. A
// shortage that comes later, when all of them are free at once, does not end a
// wait.
func TestWaitForManyDirectories(t *testing.T) {
	const many = 1000
	top := t.TempDir()
	var holders []*lock.DirLock
	for n := range many {
		dir := filepath.Join(top, strconv.Itoa(n))
		require.NoError(t, os.Mkdir(dir, 0o755))
		l := lock.New(dir)
		mustTry(t, l, true)
		holders = append(holders, l)
	}
	cmd := reexec.Command(t, "wait for many", top)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewScanner(out)
	require.True(t, lines.Scan())
	require.Equal(t, "waiting", lines.Text())
	for _, l := range holders {
		require.NoError(t, l.Unlock())
	}
	require.True(t, lines.Scan())
	require.Equal(t, fmt.Sprintf("map[<nil>:%d]", many), lines.Text())
	require.NoError(t, cmd.Wait())
}

// manyHandles uses many handles, and says how many descriptors it has then.
func manyHandles(args []string) {
	limitDescriptors()
	var handles []*lock.DirLock
	for range 10_000 {
		l := lock.New(args[0])
		if ok, err := l.TryLock(); !ok || err != nil {
			fmt.Println(ok, err)
			return
		}
		if _, err := l.Status(); err != nil {
			fmt.Println(err)
			return
		}
		if err := l.Unlock(); err != nil {
			fmt.Println(err)
			return
		}
		handles = append(handles, l)
	}
	open, err := os.ReadDir("/proc/self/fd")
	fmt.Println(len(handles), len(open) < 20, err)
}

// A handle that does not hold the lock costs no descriptor.
func TestManyHandles(t *testing.T) {
	out, err := reexec.Command(t, "many handles", t.TempDir()).Output()
	require.NoError(t, err)
	require.Equal(t, "10000 true <nil>\n", string(out))
}

// A directory that is removed, and another one that has its name by then: the
// removal of the lock file wakes the waiter, which looks at what has the name now.
func TestWaiterNoticesAnotherDirectory(t *testing.T) {
	top := t.TempDir()
	dir, next := filepath.Join(top, "dir"), filepath.Join(top, "next")
	require.NoError(t, os.Mkdir(dir, 0o755))
	require.NoError(t, os.Mkdir(next, 0o755))
	holder := startHolder(t, dir)
	waiter := startWaiter(t, dir, "only events")
	require.NoError(t, unix.Renameat2(unix.AT_FDCWD, dir, unix.AT_FDCWD, next, unix.RENAME_EXCHANGE))
	require.NoError(t, os.RemoveAll(next))
	require.Equal(t, "held", waiter.answer())
	require.Equal(t, "ok", waiter.answer())
	require.Contains(t, holder.do("check"), "ErrLost")
}

// No event crosses from one mount of a file system to another: a waiter of another
// mount polls.
func TestWaiterOfAnotherMountPolls(t *testing.T) {
	dir := t.TempDir()
	here, there := bindfs(t, dir), bindfs(t, dir)
	holder := startHolder(t, here)
	waiter := startWaiter(t, there, "")
	holder.must("unlock", "ok")
	require.Contains(t, waiter.answer(), "another mount")
	require.Equal(t, "held", waiter.answer())
}

// Where others have all watches, there is a crowd: the waiter looks ever more
// seldom, in proportion to the time that it has waited.
func TestCrowdPollsSeldom(t *testing.T) {
	for _, err := range []error{unix.EMFILE, unix.ENOSPC} {
		synctest.Test(t, func(t *testing.T) {
			disk, procs := newWaitDisk(), proctest.NewFake()
			disk.onWatch = func() error { return err }
			a, b := disk.process(procs.Start("a")), disk.process(procs.Start("b"))
			require.NoError(t, a.Lock())
			took := waitFor(t, b)
			time.Sleep(time.Second)
			require.Less(t, disk.looks(), 50)
			before := disk.looks()
			time.Sleep(time.Hour)
			require.Less(t, disk.looks()-before, int(time.Hour/lock.CrowdBeat)*2+100)
			require.NoError(t, a.Unlock())
			require.LessOrEqual(t, took()-time.Hour-time.Second, lock.CrowdBeat)
			require.NoError(t, b.Unlock())
			disk.idle(t)
		})
	}
}
