package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dirlock/dirlock/fsys/memfs"
	"github.com/dirlock/dirlock/lock"
	"github.com/dirlock/dirlock/proc"
)

var update = flag.Bool("update", false, "rewrite testdata/golden")

// What "dirlock status" prints, byte by byte: the JSON must stay readable by
// who reads it today.
func TestGolden(t *testing.T) {
	now := time.Date(2026, 11, 23, 7, 12, 15, 0, time.UTC)
	owner := lock.Owner{
		ID: "0b7fd5f3a0f14d5b8f3d4c1e2a697b10",
		Identity: proc.Identity{
			PID: 4242, Start: "8847362@4026531834", Boot: "0f5f7ec0-5d2b-4a8e-8d0a-1df1a2f1a7c1",
			Namespace: "4026531836", Host: "host-7", Command: "dirlock run backup",
		},
		User:    "ann",
		Label:   "nightly, to tape",
		Since:   now.Add(-12250 * time.Millisecond),
		Witness: true,
	}
	other := owner
	other.ID, other.PID, other.Witness, other.Since = "1c7fd5f3a0f14d5b8f3d4c1e2a697b11", 4243, false, now.Add(time.Hour)
	bare := lock.Owner{ID: "2d7fd5f3a0f14d5b8f3d4c1e2a697b12", Identity: proc.Identity{PID: 7}, Since: now.Add(-50 * time.Hour)}
	undated := bare
	undated.Since = time.Time{}
	level := func(n int, o lock.Owner, s proc.State, why string) lock.Level {
		return lock.Level{N: n, Path: "/d/L" + string(rune('0'+n)), Owner: o, State: s, Reason: why}
	}
	bad := func(n int) lock.Level {
		l := level(n, lock.Owner{}, proc.Unknown, "")
		l.Err = &lock.RecordError{Path: l.Path, Err: lock.ErrNotRecord}
		l.Reason = l.Err.Error()
		return l
	}
	reader := func(o lock.Owner, s proc.State) lock.Level {
		return lock.Level{Path: "/d/L0/" + o.ID, Owner: o, State: s, Reason: "it is so"}
	}
	dead := level(0, owner, proc.Dead, "no process has this PID")

	for name, c := range map[string]struct {
		state   lock.State
		levels  []lock.Level
		readers []lock.Level
		waiting []lock.Level
	}{
		"free":         {state: lock.Free, levels: nil},
		"free-left":    {state: lock.Free, levels: []lock.Level{level(1, owner, proc.Dead, "no process has this PID")}},
		"held":         {state: lock.Held, levels: []lock.Level{level(0, owner, proc.Alive, "it holds the kernel's lock on the file")}},
		"held-bare":    {state: lock.Held, levels: []lock.Level{level(0, bare, proc.Alive, "the process runs")}},
		"undated":      {state: lock.Held, levels: []lock.Level{level(0, undated, proc.Unknown, "it ran on another machine")}},
		"unknown":      {state: lock.Held, levels: []lock.Level{level(0, other, proc.Unknown, "it runs in another PID namespace")}},
		"recovering":   {state: lock.Held, levels: []lock.Level{dead, level(1, other, proc.Alive, "the process runs")}},
		"stale":        {state: lock.Stale, levels: []lock.Level{dead, level(1, other, proc.Dead, "no process has this PID"), bad(3)}},
		"torn":         {state: lock.Stale, levels: []lock.Level{level(0, lock.Owner{}, proc.Dead, "its record is incomplete")}},
		"unreadable":   {state: lock.Unreadable, levels: []lock.Level{dead, bad(1)}},
		"shared":       {state: lock.Shared, readers: []lock.Level{reader(owner, proc.Alive), reader(bare, proc.Dead), reader(other, proc.Unknown)}, waiting: []lock.Level{reader(other, proc.Alive)}},
		"shared-stale": {state: lock.Stale, readers: []lock.Level{reader(bare, proc.Dead)}},
	} {
		t.Run(name, func(t *testing.T) {
			s := lock.Status{Dir: "/d", Levels: c.levels, Readers: c.readers, Waiting: c.waiting}
			got, _ := s.State()
			require.Equal(t, c.state, got)

			local := time.Local
			time.Local = time.UTC
			defer func() { time.Local = local }()
			var b bytes.Buffer
			b.WriteString(report(s, now))
			require.NoError(t, json.NewEncoder(&b).Encode(toJSON(s, now)))
			golden(t, name+".txt", b.Bytes())
		})
	}
}

// A path may have anything in it.
func TestReportIsPrintable(t *testing.T) {
	err := &lock.RecordError{Path: "/a\n\x1b[2Jb/L0", Err: lock.ErrNotRecord}
	l := lock.Level{Path: err.Path, State: proc.Unknown, Reason: err.Error(), Err: err}
	text := report(lock.Status{Dir: "/a\n\x1b[2Jb", Levels: []lock.Level{l}}, time.Now())
	require.NotContains(t, text, "\x1b")
	require.Equal(t, 2, strings.Count(text, "\n"), "a line for the directory, and one for the level")
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name)
	if *update {
		require.NoError(t, os.WriteFile(path, got, 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got))
}

// What went wrong decides the exit status, and the advice.
func TestOutcome(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		code int
	}{
		"none":           {nil, 0},
		"unsupported":    {errors.ErrUnsupported, exitUnsupported},
		"permission":     {os.ErrPermission, exitCannotWrite},
		"read-only":      {&os.PathError{Op: "create", Path: "/d/L0", Err: errReadOnly}, exitCannotWrite},
		"full":           {&os.PathError{Op: "create", Path: "/d/L0", Err: errFull}, exitCannotWrite},
		"quota":          {&os.PathError{Op: "create", Path: "/d/L0", Err: errQuota}, exitCannotWrite},
		"file":           {&os.PathError{Op: "read", Path: "/d/L0", Err: errNotDir}, exitNoDir},
		"missing":        {os.ErrNotExist, exitNoDir},
		"record":         {&lock.RecordError{Path: "/d/L0", Err: os.ErrPermission}, exitRecord},
		"other":          {errors.New("x"), exitSystem},
		"several\nlines": {errors.New("a\nb"), exitSystem},
	} {
		code, text, hint := outcome(c.err)
		require.Equal(t, c.code, code, name)
		require.Equal(t, c.err == nil, text == "", name)
		require.Equal(t, c.err == nil, hint == "", name)
	}
}

// An owner whose record is incomplete has no ID. It can be broken all the same,
// and the status says how.
func TestReportSaysHowToBreak(t *testing.T) {
	disk := memfs.New("/d d", memfs.Network())
	disk.Put("/d d/gc.L0", nil)
	s, err := lock.New("/d d", lock.WithFS(disk), lock.WithName("gc")).Status()
	require.NoError(t, err)
	require.Contains(t, report(s, time.Now()), "dirlock break '"+s.Dir+"' --name gc --owner L0\n")
}
