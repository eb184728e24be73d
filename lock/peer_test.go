package lock_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dirlock/dirlock/fsys"
	"github.com/dirlock/dirlock/fsys/osfs"
	"github.com/dirlock/dirlock/internal/testutil/reexec"
	"github.com/dirlock/dirlock/internal/testutil/step"
	"github.com/dirlock/dirlock/lock"
)

func init() {
	reexec.Register("peer", peerMain)
	reexec.Register("peer child", childMain)
	reexec.Register("peer crash", crashMain)
}

// A peer is a process that does what a test tells it, a line at a time, and
// answers each with a line.
type peer struct {
	t    testing.TB
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Scanner
	done bool
}

// startPeer starts a peer that has a handle on dir.
func startPeer(t testing.TB, dir string, change ...func(*exec.Cmd)) *peer {
	t.Helper()
	a := &peer{t: t, cmd: reexec.Command(t, "peer", dir)}
	for _, c := range change {
		c(a.cmd)
	}
	var err error
	a.in, err = a.cmd.StdinPipe()
	require.NoError(t, err)
	out, err := a.cmd.StdoutPipe()
	require.NoError(t, err)
	a.out = bufio.NewScanner(out)
	if err := a.cmd.Start(); errors.Is(err, fs.ErrPermission) {
		t.Skip("needs the privilege to make namespaces: ", err)
	} else {
		require.NoError(t, err)
	}
	t.Cleanup(a.kill)
	return a
}

// send gives the peer a command, and does not wait for the answer.
func (a *peer) send(command string) {
	a.t.Helper()
	_, err := fmt.Fprintln(a.in, command)
	require.NoError(a.t, err)
}

// answer waits for the answer. It is empty if the peer died instead.
func (a *peer) answer() string {
	a.out.Scan()
	return a.out.Text()
}

func (a *peer) do(command string) string {
	a.t.Helper()
	a.send(command)
	return a.answer()
}

// must is do for a command that has one right answer.
func (a *peer) must(command, answer string) {
	a.t.Helper()
	require.Equal(a.t, answer, a.do(command), command)
}

// kill ends the peer with SIGKILL, and reaps it.
func (a *peer) kill() {
	if !a.done {
		_ = a.cmd.Process.Kill()
		a.reap()
	}
}

// reap waits for the end of a peer that dies by itself.
func (a *peer) reap() {
	a.done = true
	_ = a.cmd.Wait()
}

// peerState is what a peer knows.
type peerState struct {
	dir   string
	lock  *lock.DirLock
	make  func(dir string, opts ...lock.Option) *lock.DirLock
	steps atomic.Int64 // until at is called, if positive
	atOp  string       // or ahead of the operation of that name
	at    func()
	ops   atomic.Int64 // since new
}

func (s *peerState) new(dir string) {
	s.dir = dir
	s.lock = s.make(dir, lock.WithFS(step.FS(osfs.New(), func(op step.Op) error {
		s.ops.Add(1)
		if s.at != nil && (s.steps.Add(-1) == 0 || op.Name == s.atOp) {
			s.at()
		}
		return nil
	})))
}

// peerCommands get the rest of the line, and return the answer.
var peerCommands = map[string]func(s *peerState, arg string) string{
	"new":    func(s *peerState, dir string) string { s.new(dir); return "ok" },
	"chdir":  func(s *peerState, dir string) string { return answerOf(os.Chdir(dir)) },
	"unlock": func(s *peerState, _ string) string { return answerOf(s.lock.Unlock()) },
	"check":  func(s *peerState, _ string) string { return answerOf(s.lock.Check()) },
	"lock":   func(s *peerState, _ string) string { return answerOf(s.lock.Lock()) },
	"ops":    func(s *peerState, _ string) string { return strconv.FormatInt(s.ops.Swap(0), 10) },
	"try": func(s *peerState, _ string) string {
		ok, err := s.lock.TryLock()
		if err != nil {
			return answerOf(err)
		}
		return strconv.FormatBool(ok)
	},
	// killat N: die ahead of the N-th operation from now; or of the one of that
	// name.
	"killat": func(s *peerState, n string) string {
		s.at = func() {
			self, err := os.FindProcess(os.Getpid())
			if err == nil {
				err = self.Kill()
			}
			fmt.Println(err)
			select {}
		}
		return s.setSteps(n)
	},
	// forget drops the handle, and lets the garbage collector look for it.
	"forget": func(s *peerState, _ string) string {
		*s = peerState{make: s.make}
		for range 5 {
			runtime.GC()
		}
		return "ok"
	},
	"state": func(s *peerState, _ string) string {
		st, err := s.lock.Status()
		if err != nil {
			return answerOf(err)
		}
		lv, ok := st.Owner()
		if !ok {
			return "free"
		}
		return fmt.Sprintf("%d %v: %s", lv.Owner.PID, lv.State, lv.Reason)
	},
	// crash DIR: another process acquires the lock of DIR, and dies with it.
	"crash": func(_ *peerState, dir string) string {
		exe, err := os.Executable()
		if err != nil {
			return answerOf(err)
		}
		cmd := exec.Command(exe, dir)
		cmd.Env = append(os.Environ(), reexec.Env("peer crash"))
		return answerOf(cmd.Run())
	},
	// child starts a process that outlives the peer, if the peer is killed.
	"child": func(s *peerState, _ string) string {
		exe, err := os.Executable()
		if err != nil {
			return answerOf(err)
		}
		cmd := exec.Command(exe)
		cmd.Env = append(os.Environ(), reexec.Env("peer child"))
		if _, err := cmd.StdinPipe(); err != nil {
			return answerOf(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			return answerOf(err)
		}
		if err := cmd.Start(); err != nil {
			return answerOf(err)
		}
		if line, _ := bufio.NewReader(out).ReadString('\n'); line != "up\n" {
			return "the child did not start"
		}
		return strconv.Itoa(cmd.Process.Pid)
	},
}

func (s *peerState) setSteps(n string) string {
	i, err := strconv.ParseInt(n, 10, 64)
	if err != nil {
		s.atOp = n
	}
	s.steps.Store(i)
	return "ok"
}

// What a peer can do on Linux only: be in a place, and end its first thread.
var (
	peerPlace func(s *peerState, config string) string
	peerLeave func(rest func(error))
)

// peerMain is the peer's side. It has a handle on the first argument.
func peerMain(args []string) {
	s := &peerState{make: lock.New}
	if len(args) > 1 {
		fmt.Println(peerPlace(s, args[1]))
	}
	s.new(args[0])
	s.serve(bufio.NewScanner(os.Stdin))
}

func (s *peerState) serve(in *bufio.Scanner) {
	for in.Scan() {
		name, arg, _ := strings.Cut(in.Text(), " ")
		if name == "leave" {
			peerLeave(func(err error) {
				fmt.Println(answerOf(err))
				s.serve(in)
				os.Exit(0)
			})
		}
		command, ok := peerCommands[name]
		if !ok {
			fmt.Println("no such command")
			continue
		}
		fmt.Println(strings.ReplaceAll(command(s, arg), "\n", " / "))
	}
}

// answerOf puts an error on a line, with the sentinels that it matches.
func answerOf(err error) string {
	if err == nil {
		return "ok"
	}
	var kinds []string
	for kind, is := range sentinels {
		if errors.Is(err, is) {
			kinds = append(kinds, kind)
		}
	}
	slices.Sort(kinds)
	return fmt.Sprintf("error %v: %v", kinds, err)
}

var sentinels = map[string]error{
	"ErrNotExist":    fs.ErrNotExist,
	"ErrExist":       fs.ErrExist,
	"ErrPermission":  fs.ErrPermission,
	"ErrUnsupported": errors.ErrUnsupported,
	"ErrNotHeld":     lock.ErrNotHeld,
	"ErrLost":        lock.ErrLost,
	"ErrAlive":       lock.ErrAlive,
	"ErrOtherOwner":  lock.ErrOtherOwner,
	"ErrVersion":     lock.ErrVersion,
	"ErrNotRecord":   lock.ErrNotRecord,
	"ErrNotRegular":  fsys.ErrNotRegular,
}

// names returns the names of the files in a directory, sorted.
func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	names := []string{}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// putStale puts level files of processes that are dead by now into a directory.
func putStale(t *testing.T, dir string, levels ...int) {
	t.Helper()
	a := startPeer(t, dir)
	for _, level := range levels {
		d := t.TempDir()
		a.must("new "+d, "ok")
		a.must("try", "true")
		require.NoError(t, os.Rename(filepath.Join(d, "L0"), filepath.Join(dir, fmt.Sprintf("L%d", level))))
	}
	a.kill()
}

// mustTake takes the lock from dead owners, in this process, and gives it back.
// It says whether nothing is left then.
func mustTake(t *testing.T, dir string) {
	t.Helper()
	l := lock.New(dir)
	recovers := slices.Contains(names(t, dir), "L0")
	mustTry(t, l, true)
	if recovers {
		require.Equal(t, []string{"L0"}, names(t, dir))
	}
	require.NoError(t, l.Check())
	require.NoError(t, l.Unlock())
	require.Empty(t, names(t, dir))
}

// childMain lives until its standard input ends, but not for ever.
func childMain([]string) {
	fmt.Println("up")
	time.AfterFunc(time.Minute, func() { os.Exit(0) })
	_, _ = io.Copy(io.Discard, os.Stdin)
	// The one who started it may be gone: then it is killed by the test.
	select {}
}

func crashMain(args []string) {
	if ok, err := lock.New(args[0]).TryLock(); !ok {
		fmt.Fprintln(os.Stderr, "crash:", ok, err)
		os.Exit(1)
	}
}
