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

// evidence is the reason why an owner is dead: that it has let go of the file, if
// that can be seen, or what the process table says.
func (v view) evidence(ofProcess string) string {
	if v.Blind {
		return ofProcess
	}
	return "it does not hold the kernel's lock on the file"
}

// requireStatus requires what is known of the owner of the directory.
func requireStatus(t *testing.T, l *lock.DirLock, state, reason string) {
	t.Helper()
	s, err := l.Status()
	require.NoError(t, err)
	lv, ok := s.Owner()
	require.True(t, ok, "nobody owns the directory")
	require.Equal(t, state, lv.State.String(), lv.Reason)
	require.Contains(t, lv.Reason, reason)
}

func TestDeadProcess(t *testing.T) {
	eachSight(t, func(t *testing.T, v view) {
		dir := localDir(t)
		holder, contender := start(t, dir, place{view: v}), v.lock(dir)
		require.True(t, holder.try())
		mustTry(t, contender, false)
		holder.kill()
		requireStatus(t, contender, "dead", v.evidence("no process has this PID"))
		mustTry(t, contender, true)
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
		other := startWithPID(t, holder)
		requireStatus(t, contender, "dead", v.evidence("its PID belongs to another process now"))
		mustTry(t, contender, true)
		require.NoError(t, other.Process.Kill())
		require.Error(t, other.Wait())
	}
}

// startWithPID starts a process that has the PID of a dead one, but another
// start time. The kernel gives the next process the number after ns_last_pid; a
// thread that is started at the same time can take it.
func startWithPID(t *testing.T, dead *agent) *exec.Cmd {
	t.Helper()
	ticks, _, _ := strings.Cut(dead.start, "@")
	require.NotEmpty(t, ticks)
	for range 1000 {
		if err := os.WriteFile("/proc/sys/kernel/ns_last_pid", []byte(strconv.Itoa(dead.pid-1)), 0); err != nil {
			t.Skip(err)
		}
		cmd := exec.CommandContext(t.Context(), "sleep", "1000")
		require.NoError(t, cmd.Start())
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", cmd.Process.Pid))
		require.NoError(t, err)
		if cmd.Process.Pid == dead.pid && !strings.Contains(string(stat), " "+ticks+" ") {
			return cmd
		}
		require.NoError(t, cmd.Process.Kill())
		require.Error(t, cmd.Wait())
	}
	t.Fatalf("PID %d was never given to a new process", dead.pid)
	return nil
}

// A zombie that nobody reaps still has its PID and its start time.
func TestZombie(t *testing.T) {
	eachSight(t, func(t *testing.T, v view) {
		dir := localDir(t)
		holder, contender := start(t, dir, place{view: v}), v.lock(dir)
		require.True(t, holder.try())
		holder.zombie()
		requireStatus(t, contender, "dead", v.evidence("it has ended, and its parent has not reaped it"))
		mustTry(t, contender, true)
	})
}

// The first thread of a process has ended: /proc shows a zombie. The process is
// dead only when all threads are.
func TestZombieLeader(t *testing.T) {
	eachSight(t, func(t *testing.T, v view) {
		dir := localDir(t)
		holder, contender := start(t, dir, place{view: v}), v.lock(dir)
		require.True(t, holder.try())
		holder.must("leave", "ok")
		if v.Blind {
			requireStatus(t, contender, "alive", "its first thread has ended, but others run")
		} else {
			requireStatus(t, contender, "alive", "it holds the kernel's lock on the file")
		}
		mustTry(t, contender, false)

		holder.zombie()
		requireStatus(t, contender, "dead", v.evidence("it has ended, and its parent has not reaped it"))
		mustTry(t, contender, true)
	})
}

// The same process takes the lock in its first thread's absence.
func TestZombieLeaderAcquires(t *testing.T) {
	eachSight(t, func(t *testing.T, v view) {
		dir := localDir(t)
		holder, contender := start(t, dir, place{view: v}), v.lock(dir)
		holder.must("leave", "ok")
		require.True(t, holder.try())
		mustTry(t, contender, false)
		holder.zombie()
		mustTry(t, contender, true)
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
		r := contender.do("state")
		assert.Contains(t, r, " alive: ")
		if v.Blind {
			// Linux 6.9 and later tell a process by its pidfd.
			assert.Regexp(t, "a process has this PID, but its start time cannot be read|it is running", r)
		}
		holder.zombie()
		if len(p.Under) > 0 {
			assert.False(t, contender.try(), "without a pidfd, a zombie that is hidden may live")
			continue
		}
		assert.True(t, contender.try(), "the holder is dead")
		contender.must("unlock", "ok")

		holder = start(t, dir, place{view: v})
		require.True(t, holder.try())
		holder.kill()
		if !v.Blind {
			startWithPID(t, holder)
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
			_, clock, _ := strings.Cut(holder.start, "@")
			if strings.HasSuffix(contender.start, "@"+clock) {
				t.Skip("this kernel enters a time namespace by fork only")
			}
			require.True(t, holder.try())
			assert.False(t, contender.try(), "the holder lives")
			r := contender.do("state")
			assert.Contains(t, r, " alive: ")
			if v.Blind {
				// Linux 6.9 and later tell a process by its pidfd.
				assert.Regexp(t, "its start time was taken by another clock|it is running", r)
			}
			holder.zombie()
			assert.True(t, contender.try(), "the holder is dead")
		}
	})
}

// Children that the holder starts while it acquires the lock do not keep the lock
// when the holder is dead. TestProcessChild has one that starts later.
func TestChildren(t *testing.T) {
	dir := localDir(t)
	r, w, err := os.Pipe()
	require.NoError(t, err)
	defer w.Close() // the children end
	holder := start(t, dir, host, r)
	require.NoError(t, r.Close())
	holder.must("storm", "ok")

	contender := lock.New(dir)
	mustTry(t, contender, false)
	holder.kill()
	mustTry(t, contender, true)

	// They do live: nobody could read what is written here otherwise.
	_, err = fmt.Fprintln(w, strings.Repeat("x", 10))
	require.NoError(t, err)
}
