package cli

import (
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/dirlock/dirlock/lock"
	"github.com/dirlock/dirlock/proc"
)

// The directory and its holder stay on the line, however narrow the window is.
func TestWaitingLineFits(t *testing.T) {
	now := time.Date(2026, 11, 23, 7, 13, 15, 0, time.Local)
	o := lock.Owner{
		ID:       "0b7fd5f3a0f14d5b8f3d4c1e2a697b10",
		Identity: proc.Identity{PID: 4242, Host: "host-7", Command: "dirlock run backup.sh"},
		Since:    now.Add(-time.Minute),
	}
	s := lock.Status{Dir: "/var/lib/backup", Levels: []lock.Level{{Owner: o, State: proc.Alive}}}
	w := &waiting{start: now.Add(-12 * time.Second)}
	for room, want := range map[int]string{
		117: "dirlock: waiting 12s for /var/lib/backup, held by dirlock run backup.sh (process 4242) on host-7 since 07:12:15",
		97:  "dirlock: waiting 12s for /var/lib/backup, held by dirlock run backup.sh (process 4242) on host-7",
		77:  "dirlock: waiting 12s for /var/lib/backup, held by backup.sh (4242)",
		47:  "waiting 12s for …r/lib/backup: backup.sh (4242)",
		40:  "waiting 12s for …/lib/backup: backup.sh (4242)",
	} {
		line := w.line(s, now, room)
		require.Equal(t, want, line, room)
		if room >= 47 {
			require.LessOrEqual(t, utf8.RuneCountInString(line), room)
		}
	}

	s.Levels = nil
	require.Equal(t, "dirlock: waiting 12s for …b/backup", w.line(s, now, 34))
}
