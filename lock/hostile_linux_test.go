package lock_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dirlock/dirlock/lock"
	"github.com/dirlock/dirlock/proc"
)

// record returns the record of an owner of this boot and namespace, who has
// that PID and start.
func record(t *testing.T, pid, start string) []byte {
	t.Helper()
	self, err := proc.OS().Self()
	require.NoError(t, err)
	return fmt.Appendf(nil, "dirlock 1\npid %s\nstart %s\nboot %s\nnamespace %s\nsince 2026-01-02T03:04:05Z\nid %032d\nend\n",
		pid, start, self.Boot, self.Namespace, 7)
}

// A record names a living process that has nothing to do with it.
func TestRecordOfForeignProcess(t *testing.T) {
	other := exec.CommandContext(t.Context(), "sleep", "1000")
	require.NoError(t, other.Start())
	self, err := proc.OS().Self()
	require.NoError(t, err)
	_, clock, _ := strings.Cut(self.Start, "@")

	dir := localDir(t)
	pid := fmt.Sprint(other.Process.Pid)
	require.NoError(t, os.WriteFile(level(dir, 0), record(t, pid, "1@"+clock), 0o644))
	l := lock.New(dir)
	requireStatus(t, l, "dead", "its PID belongs to another process now")
	mustTry(t, l, true)
	require.NoError(t, l.Unlock())

	// With a start time that nobody can compare, it may be the one.
	require.NoError(t, os.WriteFile(level(dir, 0), record(t, pid, "1@0"), 0o644))
	requireStatus(t, l, "alive", "its start time was taken by another clock")
	mustTry(t, l, false)
	require.NoError(t, other.Process.Kill())
	require.Error(t, other.Wait())
	mustTry(t, l, true)
}

// signals are the system calls that send signals.
const signals = "kill,tkill,tgkill,rt_sigqueueinfo,rt_tgsigqueueinfo,pidfd_send_signal"

// harmless is a line of strace that shows how to ask for a process: signal 0,
// to one process.
var harmless = regexp.MustCompile(`\bkill\([1-9][0-9]*, 0\)`)

// Whatever a record says, no process is signalled. Signal 0 to one process,
// which is none, is only sent where the kernel has nothing better.
func TestNoSignal(t *testing.T) {
	for _, denied := range []string{"", "ENOSYS", "EPERM"} {
		t.Run("pidfd_open fails with "+denied, func(t *testing.T) {
			trace := filepath.Join(t.TempDir(), "trace")
			// The Go runtime sends signals to its own threads, to stop them.
			p := place{Env: []string{"GODEBUG=asyncpreemptoff=1"}}
			p.Under = []string{"strace", "-f", "-qq", "-o", trace, "-e", "trace=getpid,pidfd_open," + signals, "-e", "signal=none"}
			if denied != "" {
				p.Under = append(p.Under, "-e", "inject=pidfd_open:error="+denied)
			}
			dir := localDir(t)
			contender := start(t, dir, p)

			holder := start(t, dir, host)
			require.True(t, holder.try())
			require.False(t, contender.try())
			holder.zombie()
			require.True(t, contender.try())
			contender.must("unlock", "ok")

			for _, pid := range []string{
				"1", "2", fmt.Sprint(os.Getpid()), fmt.Sprint(holder.pid), "2147483647",
				"0", "-1", "-2", "2147483648", "4294967295", "9223372036854775808", "+1", "x",
			} {
				require.NoError(t, os.WriteFile(level(dir, 0), record(t, pid, "1@0"), 0o644))
				contender.do("try")
				contender.do("state")
				contender.do("unlock")
			}
			require.NoError(t, contender.in.Close()) // it ends
			require.NoError(t, contender.cmd.Wait())

			lines, err := os.ReadFile(trace)
			require.NoError(t, err)
			asked := 0
			for line := range bytes.Lines(lines) {
				asked += bytes.Count(line, []byte("pidfd_open("))
				if regexp.MustCompile(`\b(` + strings.ReplaceAll(signals, ",", "|") + `)\(`).Match(line) {
					assert.Regexp(t, harmless, string(line))
				}
			}
			assert.NotZero(t, asked, "strace saw what the agent did")
			if denied != "" {
				assert.Regexp(t, harmless, string(lines), "there is no other way to ask")
			}
		})
	}
}
