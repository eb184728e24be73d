package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/dirlock/dirlock/fsys/osfs"
	"github.com/dirlock/dirlock/lock"
	"github.com/dirlock/dirlock/proc"
)

// lockOut is how long nobody may acquire the lock while everybody tries.
const lockOut = 5 * time.Second

// Run runs the workers, kills them, and reports. The error says that it could
// not be done; what is wrong with the lock is in the report.
func Run(c Config) (*Report, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	if c.Dir == "" {
		dir, err := os.MkdirTemp("", "dirlock-torture-")
		if err != nil {
			return nil, err
		}
		defer os.RemoveAll(dir)
		c.Dir = dir
	}
	if err := os.MkdirAll(c.Dir, 0o777); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(c.Dir)
	if err != nil {
		return nil, err
	}
	if len(entries) > 0 {
		return nil, fmt.Errorf("%s is not empty", c.Dir)
	}

	t := &torture{Config: c, report: &Report{Config: c}}
	if err := t.makeOracle(); err != nil {
		return nil, err
	}
	defer t.file.Close()
	defer t.oracle.close()
	err = t.run()
	// Whatever happened, no worker stays.
	for i := range t.workers {
		err = errors.Join(err, t.kill(i))
	}
	if err != nil {
		return nil, err
	}
	h := t.oracle.head
	t.report.Acquired, t.report.Recovered, t.report.Refused = h.acquired.Load(), h.recovered.Load(), h.refused.Load()
	t.report.Shared = h.shared.Load()
	t.report.Violations, t.report.Errors = h.violations.Load(), h.errors.Load()
	if !c.Broken {
		if err := t.cleanUp(); err != nil {
			return nil, err
		}
	}
	return t.report, nil
}

type torture struct {
	Config
	report  *Report
	file    *os.File
	oracle  *oracle
	workers []*started
	number  int // of the last worker
}

type started struct {
	cmd    *exec.Cmd
	number int
}

// makeOracle makes the shared file, which has no name for longer than needed.
func (t *torture) makeOracle() error {
	f, err := os.CreateTemp("", "dirlock-oracle-")
	if err != nil {
		return err
	}
	if err := os.Remove(f.Name()); err != nil {
		return err
	}
	rows := 2*t.Procs + 10 + int(t.For/t.KillEvery)
	if err := f.Truncate(int64(headSize + rows*rowSize)); err != nil {
		return err
	}
	t.file = f
	t.oracle, err = openOracle(f)
	return err
}

// start starts a worker.
func (t *torture) start(place int, env ...string) (*started, error) {
	t.number++
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), envNumber+"="+strconv.Itoa(t.number), envDir+"="+t.Dir, "GOMAXPROCS=1",
		envPlace+"="+strconv.Itoa(place), envReaders+"="+strconv.Itoa(t.Readers))
	if t.Broken {
		cmd.Env = append(cmd.Env, envBroken+"=1")
	}
	cmd.Env = append(cmd.Env, env...)
	if !t.Broken {
		cmd.Stderr = os.Stderr
	}
	cmd.ExtraFiles = []*os.File{t.file}
	return &started{cmd, t.number}, cmd.Start()
}

// kill kills a worker, and tells the oracle when it is dead for certain.
func (t *torture) kill(i int) error {
	w := t.workers[i]
	if w == nil {
		return nil
	}
	t.workers[i] = nil
	row := &t.oracle.rows[w.number]
	row.doomed.Store(monotonic())
	if err := w.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	_ = w.cmd.Wait()
	if t.oracle.head.owner.Load() == uint64(w.number) {
		t.report.Holders++
	}
	row.dead.Store(1)
	t.lookForLevels()
	if !w.cmd.ProcessState.Exited() {
		t.report.Kills++
		return nil
	}
	if t.oracle.head.stop.Load() == 0 {
		t.report.Problems = append(t.report.Problems, fmt.Sprintf("worker %d ended by itself: %v", w.number, w.cmd.ProcessState))
	}
	return nil
}

func (t *torture) run() error {
	t.workers = make([]*started, t.Procs)
	for i := range t.workers {
		var err error
		if t.workers[i], err = t.start(i); err != nil {
			return err
		}
	}
	h := t.oracle.head
	h.last.Store(monotonic())
	end := time.After(t.For)
	tick := time.NewTicker(t.KillEvery)
	defer tick.Stop()
	seen := h.last.Load()
	for {
		select {
		case <-end:
			return nil
		case <-tick.C:
		}
		if last := h.last.Load(); last != seen {
			seen = last
		}
		wait := time.Duration(monotonic() - seen)
		t.report.Longest = max(t.report.Longest, wait)
		if wait > lockOut {
			t.report.LockOuts++
			seen = monotonic() // and so on, from here
			h.last.Store(seen)
		}
		i := t.victim()
		if err := t.kill(i); err != nil {
			return err
		}
		var err error
		if t.workers[i], err = t.start(i); err != nil {
			t.workers[i] = nil
			return err
		}
	}
}

// lookForLevels notes whether a recovery is going on, or was cut off by a kill.
func (t *torture) lookForLevels() {
	found := 0
	for _, name := range t.names() {
		if n, err := strconv.Atoi(strings.TrimPrefix(name, "L")); err == nil {
			found = max(found, n)
		}
	}
	if found > 0 {
		t.report.Recoveries++
	}
	t.report.Highest = max(t.report.Highest, found)
}

// victim chooses whom to kill: every other time the owner, if there is one, and
// else anybody.
func (t *torture) victim() int {
	if owner := t.oracle.head.owner.Load(); owner != 0 && rand.IntN(2) == 0 {
		for i, w := range t.workers {
			if uint64(w.number) == owner {
				return i
			}
		}
	}
	return rand.IntN(t.Procs)
}

var levelFile = regexp.MustCompile(`^L(0|[1-9][0-9]*)$`)

// cleanUp looks at what the dead have left, and takes the lock from one of
// them: after that and an Unlock, nothing is left.
func (t *torture) cleanUp() error {
	r := t.report
	for _, name := range t.names() {
		switch {
		case levelFile.MatchString(name) || t.Readers > 0 && name == "LW":
			r.Levels = append(r.Levels, name)
		case t.Temps && strings.HasPrefix(name, osfs.TempPrefix):
			r.Left++
		default:
			r.Litter = append(r.Litter, name)
		}
	}
	l := lock.New(t.Dir)
	s, err := l.Status()
	if err != nil {
		return err
	}
	for _, lv := range s.Levels {
		if lv.State != proc.Dead || lv.Err != nil || lv.Owner.ID == "" {
			r.Problems = append(r.Problems, fmt.Sprintf("L%d is not a dead owner's: %v %s %v", lv.N, lv.State, lv.Reason, lv.Err))
		}
	}
	// Claims of the dead go with the next reader. It can be that it takes over.
	if t.Readers > 0 {
		if ok, err := l.TryRLock(); !ok || err != nil {
			r.Problems = append(r.Problems, fmt.Sprintf("all are dead, and TryRLock answers %v, %v", ok, err))
			return nil
		}
		if err := l.RUnlock(); err != nil {
			return err
		}
		if s, err = l.Status(); err != nil {
			return err
		}
	}
	// Without a dead owner there is no recovery: let one more die.
	if _, owned := s.Owner(); !owned {
		w, err := t.start(0, envCrash+"=1")
		if err != nil {
			return err
		}
		_ = w.cmd.Wait()
		if w.cmd.ProcessState.Exited() {
			return fmt.Errorf("the last worker did not die with the lock: %v", w.cmd.ProcessState)
		}
	}
	ok, err := l.TryLock()
	if !ok || err != nil {
		r.Problems = append(r.Problems, fmt.Sprintf("all are dead, and TryLock answers %v, %v", ok, err))
		return nil
	}
	// The temporary files of the dead go when this owner unlocks: only a listing
	// finds them, which TryLock does without.
	for _, name := range t.names() {
		if name != "L0" && !(t.Temps && strings.HasPrefix(name, osfs.TempPrefix)) {
			r.Litter = append(r.Litter, name)
		}
	}
	if err := l.Unlock(); err != nil {
		r.Problems = append(r.Problems, err.Error())
	}
	r.Litter = append(r.Litter, t.names()...)
	return nil
}

func (t *torture) names() []string {
	entries, err := os.ReadDir(t.Dir)
	if err != nil {
		return []string{err.Error()}
	}
	var names []string
	for _, e := range entries {
		// The library of FUSE hides a removed file under such a name until it
		// is closed.
		if !strings.HasPrefix(e.Name(), ".fuse_hidden") {
			names = append(names, e.Name())
		}
	}
	return names
}
