//go:build unix

package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dirlock/dirlock/lock"
)

// Every block of shell or cron in docs/shell.md runs, and ends with status 0.
// A comment before a block says what is different for it:
//
//	<!-- test: held; exits 75; needs jq; unknown -->
func TestShellDoc(t *testing.T) {
	text, err := os.ReadFile("../../docs/shell.md")
	require.NoError(t, err)
	blocks := regexp.MustCompile("(?ms)^(?:<!-- test: ([^\n]*) -->\n)?```(sh|cron)\n(.*?)^```$").FindAllStringSubmatch(string(text), -1)
	require.NotEmpty(t, blocks)
	for i, b := range blocks {
		t.Run(strconv.Itoa(i), func(t *testing.T) { runBlock(t, b[1], b[2], b[3]) })
	}
}

func runBlock(t *testing.T, notes, language, block string) {
	root, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	backup, repo, bin := filepath.Join(root, "var/lib/backup"), filepath.Join(root, "srv/repo"), filepath.Join(root, "bin")
	for _, dir := range []string{backup, repo, bin} {
		require.NoError(t, os.MkdirAll(dir, 0o777))
	}
	for _, name := range []string{"backup.sh", "git", "make"} {
		require.NoError(t, os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\ntrue\n"), 0o777))
	}

	status := 0
	for note := range strings.SplitSeq(notes, "; ") {
		verb, arg, _ := strings.Cut(note, " ")
		switch verb {
		case "":
		case "held":
			l := lock.New(backup)
			require.NoError(t, l.Lock())
			defer func() { require.NoError(t, l.Unlock()) }()
		case "exits":
			status, err = strconv.Atoi(arg)
			require.NoError(t, err)
		case "needs":
			if _, err := exec.LookPath(arg); err != nil {
				t.Skip(err)
			}
		case "unknown":
			id := regexp.MustCompile("[0-9a-f]{32}").FindString(block)
			if !forgeUnknown(t, repo, id) {
				t.Skip("this system has no owner of whom nothing is known")
			}
		default:
			t.Fatalf("unknown note %q", note)
		}
	}

	if language == "cron" {
		fields := regexp.MustCompile(`\s+`).Split(block, 6)
		block = fields[5]
	}
	block = strings.ReplaceAll(block, "/var/lib", filepath.Join(root, "var/lib"))
	block = strings.ReplaceAll(block, "/srv", filepath.Join(root, "srv"))
	cmd := exec.Command("sh", "-e", "-c", block)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "PATH="+bin+string(filepath.ListSeparator)+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	require.NotNil(t, cmd.ProcessState, err)
	require.Equal(t, status, cmd.ProcessState.ExitCode(), "%s\n%s", block, out)
	if !strings.Contains(notes, "held") {
		requireEmpty(t, backup)
	}
	requireEmpty(t, repo)
}

// forgeUnknown puts the record of an owner that cannot be checked into a
// directory, if the system has such owners.
func forgeUnknown(t *testing.T, dir, id string) bool {
	l := lock.New(dir)
	require.NoError(t, l.Lock())
	record, err := os.ReadFile(filepath.Join(dir, "L0"))
	require.NoError(t, err)
	owner, _ := l.Owner()
	require.NoError(t, l.Unlock())
	forged := unknownRecord(string(record), owner)
	forged = strings.Replace(forged, owner.ID, id, 1)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "L0"), []byte(forged), 0o644))
	s, err := l.Status()
	require.NoError(t, err)
	st, _ := s.State()
	return st == lock.Held
}
