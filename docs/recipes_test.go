//go:build linux

package docs_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dirlock/dirlock/lock"
)

// block is one of code in a page, with what the comment before it says.
type block struct{ note, language, text string }

func blocks(t *testing.T, name string) (out []block) {
	t.Helper()
	text, err := os.ReadFile(name)
	require.NoError(t, err)
	for _, m := range regexp.MustCompile("(?ms)^(?:<!-- ([^\n]*) -->\n)?```([a-z]+)\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
		out = append(out, block{m[1], m[2], m[3]})
	}
	require.NotEmpty(t, out)
	return out
}

// machine is a directory that stands for a machine's root, with the command, and
// programs that write down that they ran.
type machine struct {
	t    *testing.T
	root string
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	m := &machine{t, root}
	for _, dir := range []string{"etc/systemd/system", "usr/bin", "usr/local/bin", "var/lib/backup", "var/lib/app", "srv/deploy", "srv/project"} {
		require.NoError(t, os.MkdirAll(filepath.Join(root, dir), 0o777))
	}
	require.NoError(t, os.Symlink(dirlock(t), filepath.Join(root, "usr/bin/dirlock")))
	for _, name := range []string{"backup.sh", "migrate", "fetch-dependencies", "deploy.sh", "build.sh", "server"} {
		m.write("/usr/local/bin/"+name, "#!/bin/sh\necho \"ran "+name+"\" >>"+root+"/ran\necho "+name+"\n")
	}
	return m
}

// place puts the paths of a recipe under the root.
func (m *machine) place(text string) string {
	return regexp.MustCompile(`(^|[\s"'=>])/(etc|usr|var|srv)/`).ReplaceAllString(text, "${1}"+m.root+"/$2/")
}

func (m *machine) write(path, text string) {
	m.t.Helper()
	mode := os.FileMode(0o777)
	if strings.HasPrefix(path, "/etc/") {
		mode = 0o666
	}
	require.NoError(m.t, os.WriteFile(filepath.Join(m.root, path), []byte(m.place(text)), mode))
}

func (m *machine) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir = m.root
	cmd.Env = append(os.Environ(), "PATH="+m.root+"/usr/bin:"+m.root+"/usr/local/bin:"+os.Getenv("PATH"), "MAKEFLAGS=")
	return cmd
}

func (m *machine) run(name string, args ...string) string {
	m.t.Helper()
	out, err := m.command(name, args...).CombinedOutput()
	require.NoError(m.t, err, "%s", out)
	return string(out)
}

func (m *machine) shell(script string) string {
	m.t.Helper()
	return m.run("sh", "-e", "-c", m.place(script))
}

// ran returns the programs that ran since the last time.
func (m *machine) ran() string {
	m.t.Helper()
	text, err := os.ReadFile(m.root + "/ran")
	if !errors.Is(err, os.ErrNotExist) {
		require.NoError(m.t, err)
		require.NoError(m.t, os.Remove(m.root+"/ran"))
	}
	return strings.TrimSpace(string(text))
}

func (m *machine) held(dir string, while func()) {
	m.t.Helper()
	l := lock.New(filepath.Join(m.root, dir))
	require.NoError(m.t, l.Lock())
	while()
	require.NoError(m.t, l.Unlock())
}

func needs(t *testing.T, programs ...string) {
	t.Helper()
	for _, name := range programs {
		if _, err := exec.LookPath(name); err != nil {
			t.Skip(err)
		}
	}
}

// TestRecipes runs every block of recipes.md. A page with a block that nothing
// here knows fails.
func TestRecipes(t *testing.T) {
	used := map[string]int{}
	for _, b := range blocks(t, "recipes.md") {
		kind, arg, _ := strings.Cut(b.note, ": ")
		name := b.language
		if kind == "file" {
			name = filepath.Base(arg)
		}
		used[name]++
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			if kind == "file" {
				m.write(arg, b.text)
			}
			switch {
			case kind == "file":
				files[name](m, arg)
			case kind == "test" && arg == "held":
				needs(t, "jq")
				m.held("var/lib/backup", func() { assert.Regexp(t, `^[0-9]+\n$`, m.shell(b.text)) })
			case b.language == "sh":
				if strings.Contains(b.text, "flock -") {
					needs(t, "flock")
				}
				m.shell(b.text)
				assert.Equal(t, "ran backup.sh", m.ran())
			case b.language == "cron":
				line := regexp.MustCompile(`\s+`).Split(b.text, 6)[5]
				m.shell(line)
				assert.Equal(t, "ran backup.sh", m.ran())
				m.held("var/lib/backup", func() {
					assert.Empty(t, m.shell(line), "cron would send mail")
					assert.Empty(t, m.ran())
				})
			case b.language == "yaml":
				m.ci(b.text)
			case kind == "example":
				requireBodyOf(t, b.text, arg)
			case b.language == "go":
				assert.Contains(t, b.text, "flock.New", "Go that is not an example")
			default:
				t.Fatalf("nothing runs this block: %+v", b)
			}
		})
	}
	for name := range files {
		assert.Equal(t, 1, used[name], name)
	}
}

// files are the recipes that are files, and how each is tried.
var files = map[string]func(m *machine, path string){
	"backup.service": (*machine).service,
	"backup.timer": func(m *machine, path string) {
		needs(m.t, "systemd-analyze")
		// A timer wants its service.
		m.write("/etc/systemd/system/backup.service", "[Service]\nExecStart=/usr/bin/dirlock version\n")
		m.run("systemd-analyze", "verify", m.root+path)
	},
	"entrypoint.sh": func(m *machine, path string) {
		assert.Equal(m.t, "migrate\nserver\n", m.run(m.root+path, "server"))
		requireFree(m.t, m.root+"/var/lib/app")
	},
	"single.sh":  (*machine).single,
	"Makefile":   (*machine).makefile,
	"nightly.sh": (*machine).nightly,
}

// service checks the unit, and runs its command: free, and held.
func (m *machine) service(path string) {
	t := m.t
	text, err := os.ReadFile(m.root + path)
	require.NoError(t, err)
	_, start, _ := strings.Cut(string(text), "\nExecStart=")
	start, _, _ = strings.Cut(start, "\n")
	m.shell(start)
	assert.Equal(t, "ran backup.sh", m.ran())
	m.held("var/lib/backup", func() {
		var exit *exec.ExitError
		require.ErrorAs(t, m.command("sh", "-c", start).Run(), &exit)
		assert.Contains(t, string(text), "\nSuccessExitStatus=75\n")
		assert.Equal(t, 75, exit.ExitCode())
		assert.Empty(t, m.ran())
	})
	needs(t, "systemd-analyze")
	assert.Empty(t, m.run("systemd-analyze", "verify", m.root+path))
}

// single holds the lock for as long as the server runs, and TERM ends the server.
func (m *machine) single(path string) {
	t := m.t
	m.write("/usr/local/bin/server", "#!/bin/sh\ntrap 'echo stopped; exit 0' TERM\necho started\nwhile :; do sleep 1 & wait $!; done\n")
	cmd := m.command(m.root+path, "server")
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewScanner(out)
	require.True(t, lines.Scan())
	require.Equal(t, "started", lines.Text())
	ok, err := lock.New(m.root + "/var/lib/app").TryLock()
	require.NoError(t, err)
	assert.False(t, ok, "the server runs without the lock")
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	require.True(t, lines.Scan())
	assert.Equal(t, "stopped", lines.Text())
	require.NoError(t, cmd.Wait())
	requireFree(t, m.root+"/var/lib/app")
}

// makefile builds, and not while somebody else has the directory.
func (m *machine) makefile(string) {
	t := m.t
	needs(t, "make")
	dir := m.root + "/srv/project"
	m.run("make", "-s", "-C", dir)
	assert.Equal(t, "ran build.sh", m.ran())
	result, err := os.ReadFile(dir + "/result")
	require.NoError(t, err)
	assert.Equal(t, "build.sh\n", string(result))

	var cmd *exec.Cmd
	m.held("srv/project", func() {
		cmd = m.command("make", "-s", "-C", dir)
		complaint, err := cmd.StderrPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		lines := bufio.NewScanner(complaint)
		require.True(t, lines.Scan(), "it does not wait")
		assert.Contains(t, lines.Text(), "waiting")
		assert.Empty(t, m.ran())
	})
	require.NoError(t, cmd.Wait())
	assert.Equal(t, "ran build.sh", m.ran())
}

// nightly locks itself.
func (m *machine) nightly(path string) {
	t := m.t
	m.run(m.root+path, "--full")
	assert.Equal(t, "ran backup.sh", m.ran())
	m.held("var/lib/backup", func() {
		require.Error(t, m.command(m.root+path).Run())
		assert.Empty(t, m.ran())
	})
}

// ci runs the steps of a job. A job that finds the directory held fails or waits.
func (m *machine) ci(text string) {
	t := m.t
	steps := regexp.MustCompile(`(?m)^  - run: (dirlock .*)$`).FindAllStringSubmatch(text, -1)
	require.Len(t, steps, 1)
	m.shell(steps[0][1])
	ran := m.ran()
	assert.NotEmpty(t, ran)
	if strings.Contains(steps[0][1], "run -n") {
		m.held("srv/deploy", func() {
			out, err := m.command("sh", "-c", m.place(steps[0][1])).CombinedOutput()
			require.Error(t, err)
			assert.Regexp(t, `process [0-9]+`, string(out), "the log names nobody")
			assert.Empty(t, m.ran())
		})
	}
}

func requireFree(t *testing.T, dir string) {
	t.Helper()
	ok, err := lock.New(dir).TryLock()
	require.NoError(t, err)
	require.True(t, ok)
}

// requireBodyOf says that a block of Go is the beginning of a function here.
func requireBodyOf(t *testing.T, text, name string) {
	t.Helper()
	source, err := os.ReadFile("example_test.go")
	require.NoError(t, err)
	_, body, found := strings.Cut(string(source), "\nfunc "+name+"(")
	require.True(t, found, name)
	_, body, _ = strings.Cut(body, "\n")
	indented := regexp.MustCompile(`(?m)^(.)`).ReplaceAllString(text, "\t$1")
	plain := regexp.MustCompile(` // github.com/\S+`).ReplaceAllString(indented, "")
	assert.True(t, strings.HasPrefix(body, plain), "%s is not what func %s begins with", text, name)
}

// The example of recipes.md excludes, and reports that the lock was lost.
func TestWork(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, work(context.Background(), dir, func() error {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		return assertErrorIs(work(ctx, dir, func() error { return nil }), context.Canceled)
	}))
	err := work(context.Background(), dir, func() error { return os.Remove(filepath.Join(dir, "L0")) })
	require.ErrorIs(t, err, lock.ErrLost)
}

func assertErrorIs(err, target error) error {
	if errors.Is(err, target) {
		return nil
	}
	return errors.Join(errors.New("want another error"), err, target)
}

// The example of testing.md is a test.
func TestTestingPage(t *testing.T) {
	for _, b := range blocks(t, "testing.md") {
		kind, name, _ := strings.Cut(b.note, ": ")
		require.Equal(t, "example", kind)
		requireBodyOf(t, b.text, name)
	}
}

// The picture's recordings are what asciinema plays.
func TestCasts(t *testing.T) {
	for _, name := range []string{"demo-1.cast", "demo-2.cast"} {
		f, err := os.Open(name)
		require.NoError(t, err)
		defer f.Close()
		lines := bufio.NewScanner(f)
		require.True(t, lines.Scan())
		var head struct{ Version, Width, Height int }
		require.NoError(t, json.Unmarshal(lines.Bytes(), &head))
		assert.Equal(t, 2, head.Version)
		last := 0.0
		for lines.Scan() {
			var event []any
			require.NoError(t, json.Unmarshal(lines.Bytes(), &event))
			require.Len(t, event, 3)
			require.GreaterOrEqual(t, event[0], last)
			last = event[0].(float64)
		}
		assert.NotZero(t, last)
	}
}
