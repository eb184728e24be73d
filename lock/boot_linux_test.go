package lock_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/dirlock/dirlock/lock"
)

const otherBoot = "11111111-2222-4333-8444-555555555555"

// After a restart of the machine nobody from before it can be alive here. But
// over a network, another boot can be another machine.
func TestAnotherBoot(t *testing.T) {
	for _, test := range []struct {
		name              string
		holder, contender view
		taken             bool
		reason            string
	}{
		{
			name:      "local",
			contender: view{Boot: otherBoot},
			taken:     true,
			reason:    "it does not hold the kernel's lock on the file",
		},
		{
			name:      "local, no witness",
			holder:    view{Blind: true},
			contender: view{Boot: otherBoot, Blind: true},
			reason:    "it ran before a restart or in a container, and its file carries no lock of the kernel",
		},
		{
			name:      "local, witness gives no answer",
			contender: view{Boot: otherBoot, Blind: true},
			reason:    "the kernel's lock on its file cannot be seen from here",
		},
		{
			name:      "network",
			holder:    view{Network: true},
			contender: view{Boot: otherBoot, Network: true},
			reason:    "other machines can reach the directory",
		},
		{
			// The owner is a client of this file server, or a virtual machine
			// that this one shares the directory with.
			name:      "network for the owner",
			holder:    view{Network: true},
			contender: view{Boot: otherBoot},
			reason:    "other machines can reach the directory",
		},
		{
			name:      "network for the contender",
			contender: view{Boot: otherBoot, Network: true},
			reason:    "other machines can reach the directory",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := localDir(t)
			holder := start(t, dir, place{view: test.holder})
			require.True(t, holder.try())
			holder.kill()
			contender := test.contender.lock(dir)
			if test.taken {
				requireStatus(t, contender, "dead", test.reason)
			} else {
				requireStatus(t, contender, "unknown", test.reason)
			}
			mustTry(t, contender, test.taken)
		})
	}
}

// An incomplete record is what a power cut leaves.
func TestTornRecord(t *testing.T) {
	dir := localDir(t)
	holder := start(t, dir, host)
	require.True(t, holder.try())
	holder.kill()
	whole, err := os.ReadFile(level(dir, 0))
	require.NoError(t, err)

	for _, n := range []int{0, 1, len("dirlock"), len("dirlock 1"), len(whole) / 2, len(whole) - 1} {
		torn := append([]byte(nil), whole[:n]...)
		require.NoError(t, os.WriteFile(level(dir, 0), torn, 0o644))
		requireStatus(t, view{Network: true}.lock(dir), "unknown", "its record is incomplete")
		mustTry(t, view{Network: true}.lock(dir), false)
		l := lock.New(dir)
		requireStatus(t, l, "dead", "its record is incomplete")
		mustTry(t, l, true)
		require.NoError(t, l.Unlock())
	}

	// Somebody cuts a living owner's record short: the witness knows better.
	require.True(t, start(t, dir, host).try())
	require.NoError(t, os.Truncate(level(dir, 0), 10))
	requireStatus(t, lock.New(dir), "alive", "it holds the kernel's lock on the file")
	mustTry(t, lock.New(dir), false)
}

// What can change while a process lives, or is the same on two machines, has no
// say: the host name, the machine ID, the time zone, the clock.
func TestUnreliableFacts(t *testing.T) {
	machineID := filepath.Join(t.TempDir(), "machine-id")
	require.NoError(t, os.WriteFile(machineID, []byte(strings.Repeat("5", 32)+"\n"), 0o444))
	changed := place{
		Flags:    unix.CLONE_NEWNS | unix.CLONE_NEWUTS,
		Hostname: "renamed",
		Env:      []string{"TZ=Pacific/Kiritimati"},
	}
	if _, err := os.Stat("/etc/machine-id"); err == nil {
		changed.Binds = map[string]string{"/etc/machine-id": machineID}
	}
	for _, year := range []int{1970, 2001, 2999} {
		eachSight(t, func(t *testing.T, v view) {
			away := changed
			away.view = v
			away.Year = year
			home := place{view: v}
			for _, pair := range [][2]place{{away, home}, {home, away}} {
				dir := localDir(t)
				holder, contender := start(t, dir, pair[0]), start(t, dir, pair[1])
				require.True(t, holder.try())
				assert.False(t, contender.try(), "the holder lives")
				assert.Contains(t, contender.do("state"), " alive: ")
				holder.kill()
				assert.True(t, contender.try(), "the holder is dead")
			}
		})
	}
}
