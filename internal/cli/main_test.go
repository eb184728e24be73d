// testscript needs a system that has signals or is Windows.
//go:build unix || windows

package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"github.com/dirlock/dirlock/internal/testutil/wine"
	"github.com/dirlock/dirlock/lock"
)

func TestMain(m *testing.M) {
	testscript.Main(unignored{m}, map[string]func(){
		"dirlock": main,
		"job":     job,
	})
}

// unignored runs the tests as if no signal had been ignored when they were
// started, as nohup(1) does with SIGHUP, and a shell with SIGINT behind an &.
// Their children would ignore it, too. A signal that is caught has its default
// action in a child.
type unignored struct{ m *testing.M }

func (u unignored) Run() int {
	for _, s := range []os.Signal{syscall.SIGHUP, syscall.SIGINT} {
		if signal.Ignored(s) {
			signal.Notify(make(chan os.Signal, 1), s) // which nobody reads
		}
	}
	return u.m.Run()
}

// job is a command for dirlock to run, on every system.
//
//	job exit N       exits with status N
//	job env          shows what dirlock has put into the environment
//	job hold         says "ready" and runs until its standard input ends
//	job leave DIR    acquires the lock of DIR and dies
//	job count SIG…   says "ready", then "got" for every signal, and how many of
//	                 them it got when its standard input ends (Unix)
//	job files        lists its open files (Linux)
//	job line DIR     writes the waiting line for DIR three times
func job() {
	check := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, "job:", err)
			os.Exit(99)
		}
	}
	switch os.Args[1] {
	case "exit":
		n, err := strconv.Atoi(os.Args[2])
		check(err)
		os.Exit(n)
	case "env":
		for _, name := range []string{envDir, envOwner, envOwners} {
			fmt.Printf("%s=%s\n", name, os.Getenv(name))
		}
	case "hold":
		fmt.Println("ready")
		_, _ = io.Copy(io.Discard, os.Stdin)
	case "leave":
		ok, err := lock.New(os.Args[2]).TryLock()
		check(err)
		if !ok {
			check(errors.New("held"))
		}
		os.Exit(0)
	case "count":
		countSignals(os.Args[2:])
	case "files":
		entries, err := os.ReadDir("/proc/self/fd")
		check(err)
		for _, e := range entries {
			to, _ := os.Readlink("/proc/self/fd/" + e.Name())
			fmt.Println(e.Name(), to)
		}
	case "line":
		w := newWaiting(os.Stderr, lock.New(os.Args[2]).Status, time.Now(), false)
		w.show()
		w.show()
	default:
		check(fmt.Errorf("unknown job %q", os.Args[1]))
	}
}

// TestScripts runs testdata/script/*.txtar. Beside testscript's own commands,
// they have:
//
//	exits N COMMAND…   runs a command, which has to end with status N
//	hold DIR           acquires the lock of DIR, and sets $OWNER to the ID
//	release DIR        releases it
//	unknown DIR        puts a record of an owner that cannot be checked into DIR,
//	                   and sets $OWNER to the ID
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Values["locks"] = map[string]*lock.DirLock{}
			return nil
		},
		Condition: func(cond string) (bool, error) {
			if cond != "wine" {
				return false, fmt.Errorf("unknown condition %q", cond)
			}
			return wine.Here(), nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":   scriptExits,
			"hold":    scriptHold,
			"release": scriptRelease,
			"unknown": scriptUnknown,
		},
	})
}

func scriptExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits N COMMAND...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("%s exits with %d, want %d", args[1], got, want)
	}
}

func scriptHold(ts *testscript.TestScript, neg bool, args []string) {
	l := lock.New(ts.MkAbs(args[0]))
	ok, err := l.TryLock()
	ts.Check(err)
	if !ok {
		ts.Fatalf("%s is held", args[0])
	}
	owner, _ := l.Owner()
	ts.Setenv("OWNER", owner.ID)
	locks := ts.Value("locks").(map[string]*lock.DirLock)
	locks[args[0]] = l
	ts.Defer(func() { _ = l.Unlock() })
}

func scriptRelease(ts *testscript.TestScript, neg bool, args []string) {
	ts.Check(ts.Value("locks").(map[string]*lock.DirLock)[args[0]].Unlock())
}

func scriptUnknown(ts *testscript.TestScript, neg bool, args []string) {
	dir := ts.MkAbs(args[0])
	l := lock.New(dir)
	ok, err := l.TryLock()
	ts.Check(err)
	if !ok {
		ts.Fatalf("%s is held", dir)
	}
	owner, _ := l.Owner()
	record := ts.ReadFile(dir + "/L0")
	ts.Check(l.Unlock())
	ts.Check(os.WriteFile(dir+"/L0", []byte(unknownRecord(record, owner)), 0o644))
	ts.Setenv("OWNER", owner.ID)
}

// unknownRecord makes the record of an owner of this boot, but in another PID
// namespace, for whose life no kernel vouches.
func unknownRecord(record string, o lock.Owner) string {
	record = strings.Replace(record, "namespace "+o.Namespace, "namespace 1", 1)
	return strings.NewReplacer("witness yes\n", "", "writelock yes\n", "").Replace(record)
}

// process is a command that a test talks to.
type process struct {
	*exec.Cmd
	t   *testing.T
	in  io.WriteCloser
	out *bufio.Reader
}

// start starts a command. What it writes to the standard error is the test's.
func start(t *testing.T, name string, args ...string) *process {
	t.Helper()
	return startWith(t, nil, name, args...)
}

// startWith is start with attributes.
func startWith(t *testing.T, attr *syscall.SysProcAttr, name string, args ...string) *process {
	t.Helper()
	p := &process{Cmd: exec.Command(name, args...), t: t}
	p.SysProcAttr = attr
	p.begin()
	return p
}

// begin starts the command.
func (p *process) begin() {
	t := p.t
	t.Helper()
	if p.Stderr == nil {
		p.Stderr = t.Output()
	}
	in, err := p.StdinPipe()
	require.NoError(t, err)
	out, err := p.StdoutPipe()
	require.NoError(t, err)
	p.in, p.out = in, bufio.NewReader(out)
	require.NoError(t, p.Start())
	t.Cleanup(func() {
		_ = in.Close()
		_ = p.Process.Kill()
		_ = p.Wait()
	})
}

// says waits for a line.
func (p *process) says(want string) {
	p.t.Helper()
	line, err := p.out.ReadString('\n')
	require.NoError(p.t, err)
	require.Equal(p.t, want+"\n", line)
}

// exits waits for the end, and for a status.
func (p *process) exits(want int) {
	p.t.Helper()
	_ = p.Wait()
	require.Equal(p.t, want, exitStatus(p.ProcessState))
}

func atoi(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	require.NoError(t, err)
	return n
}

// stateIs looks at a directory.
func stateIs(t *testing.T, dir string, want lock.State) {
	t.Helper()
	s, err := lock.New(dir).Status()
	require.NoError(t, err)
	got, _ := s.State()
	require.Equal(t, want, got)
}
