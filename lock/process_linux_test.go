package lock_test

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/dirlock/dirlock/lock"
)

// eachSight runs a test as the system is, and again without the kernel's lock on
// the file, so that the process alone is the evidence.
func eachSight(t *testing.T, test func(*testing.T, view)) {
	t.Run("witness", func(t *testing.T) { test(t, view{}) })
	t.Run("blind", func(t *testing.T) { test(t, view{Blind: true}) })
}

// requireStatus requires what is known of the owner of the directory.
func requireStatus(t *testing.T, l *lock.DirLock, state, reason string) {
	t.Helper()
	r, err := status(l)
	require.NoError(t, err)
	require.True(t, r.OK, "nobody owns the directory")
	require.Equal(t, state, r.State, r.Reason)
	require.Contains(t, r.Reason, reason)
}

func requireTry(t *testing.T, l *lock.DirLock, want bool) {
	t.Helper()
	ok, err := l.TryLock()
	require.NoError(t, err)
	require.Equal(t, want, ok)
}

func TestDeadProcess(t *testing.T) {
	eachSight(t, func(t *testing.T, v view) {
		dir := localDir(t)
		holder, contender := start(t, dir, place{view: v}), v.lock(dir)
		require.True(t, holder.try())
		requireTry(t, contender, false)
		holder.kill()
		requireStatus(t, contender, "dead", "no process has this PID")
		requireTry(t, contender, true)
	})
}

// The PID of a dead owner belongs to a living process.
func TestPIDReused(t *testing.T) {
	if !inContainer(t) {
		return
	}
	for _, v := range []view{{}, {Blind: true}} {
		dir := localDir(t)
		holder, contender := start(t, dir, place{view: v}), v.lock(dir)
		require.True(t, holder.try())
		holder.kill()
		other := startWithPID(t, holder.self)
		requireStatus(t, contender, "dead", "its PID belongs to another process now")
		requireTry(t, contender, true)
		require.NoError(t, other.Process.Kill())
		require.Error(t, other.Wait())
	}
}

// startWithPID starts a process that has the PID of a dead one, but another
// start time. The kernel gives the next process the number after ns_last_pid; a
// thread that is started at the same time can take it.
func startWithPID(t *testing.T, dead answer) *exec.Cmd {
	t.Helper()
	ticks, _, _ := strings.Cut(dead.Start, "@")
	require.NotEmpty(t, ticks)
	for range 1000 {
		if err := os.WriteFile("/proc/sys/kernel/ns_last_pid", []byte(strconv.Itoa(dead.PID-1)), 0); err != nil {
			t.Skip(err)
		}
		cmd := exec.CommandContext(t.Context(), "sleep", "1000")
		require.NoError(t, cmd.Start())
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", cmd.Process.Pid))
		require.NoError(t, err)
		if cmd.Process.Pid == dead.PID && !strings.Contains(string(stat), " "+ticks+" ") {
			return cmd
		}
		require.NoError(t, cmd.Process.Kill())
		require.Error(t, cmd.Wait())
	}
	t.Fatalf("PID %d was never given to a new process", dead.PID)
	return nil
}

// A zombie that nobody reaps still has its PID and its start time.
func TestZombie(t *testing.T) {
	eachSight(t, func(t *testing.T, v view) {
		dir := localDir(t)
		holder, contender := start(t, dir, place{view: v}), v.lock(dir)
		require.True(t, holder.try())
		holder.zombie()
		requireStatus(t, contender, "dead", "it has ended, and its parent has not reaped it")
		requireTry(t, contender, true)
	})
}

// The first thread of a process has ended: /proc shows a zombie. The process is
// dead only when all threads are.
func TestZombieLeader(t *testing.T) {
	eachSight(t, func(t *testing.T, v view) {
		dir := localDir(t)
		holder, contender := start(t, dir, place{view: v}), v.lock(dir)
		require.True(t, holder.try())
		require.Empty(t, holder.tell("leave").Err)
		if v.Blind {
			requireStatus(t, contender, "alive", "its first thread has ended, but others run")
		} else {
			requireStatus(t, contender, "alive", "it holds the kernel's lock on the file")
		}
		requireTry(t, contender, false)

		holder.zombie()
		requireStatus(t, contender, "dead", "it has ended, and its parent has not reaped it")
		requireTry(t, contender, true)
	})
}

// The same process takes the lock in its first thread's absence.
func TestZombieLeaderAcquires(t *testing.T) {
	eachSight(t, func(t *testing.T, v view) {
		dir := localDir(t)
		holder, contender := start(t, dir, place{view: v}), v.lock(dir)
		require.Empty(t, holder.tell("leave").Err)
		require.True(t, holder.try())
		requireTry(t, contender, false)
		holder.zombie()
		requireTry(t, contender, true)
	})
}

// A procfs mounted with hidepid=2 shows only one's own processes, and an
// unprivileged process may not signal root's: it must not take a living holder
// for a dead one.
func TestHiddenProcess(t *testing.T) {
	if !inContainer(t) {
		return
	}
	for _, p := range []place{
		{},
		{view: view{Blind: true}},
		// kill(2) is what is left then, and may not signal anybody.
		{view: view{Blind: true}, Under: []string{"strace", "-f", "-o", "/dev/null", "-e", "trace=pidfd_open", "-e", "inject=pidfd_open:error=EPERM"}},
	} {
		v := p.view
		dir := localDir(t)
		holder := start(t, dir, place{view: v})
		p.Flags, p.Proc, p.UID = unix.CLONE_NEWNS, "hidepid=2", 65534
		contender := start(t, dir, p)
		require.True(t, holder.try())
		assert.False(t, contender.try(), "the holder lives")
		r := contender.tell("status")
		assert.Equal(t, "alive", r.State)
		if v.Blind {
			assert.Equal(t, "a process has this PID, but its start time cannot be read", r.Reason)
		}
		holder.zombie()
		if len(p.Under) > 0 {
			assert.False(t, contender.try(), "without a pidfd, a zombie that is hidden may live")
			continue
		}
		assert.True(t, contender.try(), "the holder is dead")
		require.Empty(t, contender.tell("unlock").Err)

		holder = start(t, dir, place{view: v})
		require.True(t, holder.try())
		holder.kill()
		if !v.Blind {
			startWithPID(t, holder.self)
		}
		assert.True(t, contender.try(), "the holder is dead and reaped, and its PID used again, which only the file's lock shows")
	}
}

// The boot clock of a time namespace is not the host's, so that one process has
// two start times.
func TestTimeNamespace(t *testing.T) {
	shifted := place{Boottime: 1_000_000}
	eachSight(t, func(t *testing.T, v view) {
		for _, pair := range [][2]place{{shifted, host}, {host, shifted}} {
			dir := localDir(t)
			pair[0].view, pair[1].view = v, v
			holder, contender := start(t, dir, pair[0]), start(t, dir, pair[1])
			_, clock, _ := strings.Cut(holder.self.Start, "@")
			if strings.HasSuffix(contender.self.Start, "@"+clock) {
				t.Skip("this kernel enters a time namespace by fork only")
			}
			require.True(t, holder.try())
			assert.False(t, contender.try(), "the holder lives")
			r := contender.tell("status")
			assert.Equal(t, "alive", r.State)
			if v.Blind {
				assert.Contains(t, r.Reason, "its start time was taken by another clock")
			}
			holder.zombie()
			assert.True(t, contender.try(), "the holder is dead")
		}
	})
}

// Children that the holder starts, even while it acquires the lock, do not keep
// the lock when the holder is dead.
func TestChildren(t *testing.T) {
	for _, how := range []string{"child", "storm"} {
		t.Run(how, func(t *testing.T) {
			dir := localDir(t)
			r, w, err := os.Pipe()
			require.NoError(t, err)
			defer w.Close() // the children end
			holder := startWith(t, dir, host, r)
			require.NoError(t, r.Close())
			if how == "child" {
				require.True(t, holder.try())
			}
			got := holder.tell(how)
			require.Empty(t, got.Err)
			require.Equal(t, how == "storm", got.OK)

			contender := lock.New(dir)
			requireTry(t, contender, false)
			holder.kill()
			requireTry(t, contender, true)

			// They do live: nobody could read what is written here otherwise.
			_, err = fmt.Fprintln(w, strings.Repeat("x", 10))
			require.NoError(t, err)
		})
	}
}
