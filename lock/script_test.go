package lock_test

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dirlock/dirlock/fsys"
	"github.com/dirlock/dirlock/fsys/memfs"
	"github.com/dirlock/dirlock/lock"
)

var update = flag.Bool("update", false, "write what the scripts of testdata/steps do now into them")

// TestSteps runs the scripts of testdata/steps, which are the only place that
// says which operations the lock does, in which order. A script has scenarios:
//
//	== a title
//	start ss            what is in L0, L1, …: see world.set
//	disk no-replace     see diskOptions
//	ahead 2 read L1: s- what happens ahead of the second such operation: see change
//	try                 a method is called; the indented lines say what came of it
//	    read L0
//	    probe dead
//	    = true; L0 tester
//
// Only the indented lines are written by -update.
func TestSteps(t *testing.T) {
	files, err := filepath.Glob("testdata/steps/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	changed := 0
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		var after []string
		for want := range strings.SplitSeq(string(data), "\n\n") {
			got := run(t, want)
			after = append(after, got)
			if strings.TrimSpace(got) == strings.TrimSpace(want) {
				continue
			}
			if changed++; changed == 1 && !*update {
				t.Errorf("%s: %s", file, diff(strings.Split(strings.TrimSpace(want), "\n"), strings.Split(strings.TrimSpace(got), "\n")))
			}
		}
		if *update {
			require.NoError(t, os.WriteFile(file, []byte(strings.Join(after, "\n")), 0o644))
		}
	}
	if changed > 0 && !*update {
		t.Logf("%d scenarios have changed. If that is meant: go test ./lock -run TestSteps -update, and look at the difference.", changed)
	}
}

// diff shows the title, and the lines between the first and the last difference,
// with some around.
func diff(want, got []string) string {
	const around, most = 4, 12
	first, last := 0, 0
	for first < min(len(want), len(got)) && want[first] == got[first] {
		first++
	}
	for last < min(len(want), len(got))-first && want[len(want)-1-last] == got[len(got)-1-last] {
		last++
	}
	var b strings.Builder
	fmt.Fprintln(&b, want[0])
	show := func(mark string, lines []string) {
		for i, line := range lines {
			if i == most {
				fmt.Fprintln(&b, mark, "…")
				break
			}
			fmt.Fprintln(&b, mark, line)
		}
	}
	show(" ", want[min(first, max(1, first-around)):first])
	show("-", want[first:len(want)-last])
	show("+", got[first:len(got)-last])
	show(" ", want[len(want)-last:min(len(want), len(want)-last+around)])
	return b.String()
}

// player plays a scenario.
type player struct {
	*world
	t        *testing.T
	lock     *lock.DirLock
	now      time.Time
	attempts int
	befores  []func(memfs.Op) error
	out      strings.Builder
}

// run returns a scenario with what came of it.
func run(t *testing.T, scenario string) string {
	p := &player{world: newWorld(), t: t, now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), attempts: 2}
	p.before = func(op memfs.Op) error {
		var errs []error
		for _, f := range p.befores {
			errs = append(errs, f(op))
		}
		return errors.Join(errs...)
	}
	for _, line := range strings.Split(strings.TrimSpace(scenario), "\n") {
		if strings.HasPrefix(line, " ") {
			continue
		}
		fmt.Fprintln(&p.out, line)
		command, arg, _ := strings.Cut(line, " ")
		if do := commands[command]; do != nil {
			do(p, strings.TrimSpace(arg))
		} else if line != "" && command != "==" && command != "#" {
			t.Fatalf("%s: there is no such command", line)
		}
	}
	return p.out.String()
}

var commands = map[string]func(p *player, arg string){
	"start": func(p *player, levels string) { p.set(levels) },
	"disk": func(p *player, names string) {
		for _, name := range strings.Fields(names) {
			require.Contains(p.t, diskOptions, name)
			p.Set(diskOptions[name])
		}
	},
	"attempts": func(p *player, n string) { p.attempts, _ = strconv.Atoi(n) },
	"ahead": func(p *player, arg string) {
		when, what, ok := strings.Cut(arg, ": ")
		n, op, _ := strings.Cut(when, " ")
		number, err := strconv.Atoi(n)
		require.True(p.t, ok && err == nil, arg)
		p.befores = append(p.befores, ahead(op, number, func() { p.change(what) }))
	},
	"fail": func(p *player, ops string) {
		p.befores = append(p.befores, failing(strings.Split(ops, ", ")...))
	},
	"busy":        func(p *player, op string) { p.fail(op, fsys.ErrBusy) },
	"failbutdone": func(p *player, op string) { p.fail(op, memfs.ButDone(errInjected)) },
	"mend":        func(p *player, _ string) { p.befores = nil },
	"later":       func(p *player, by string) { p.later(by) },
	"change":      func(p *player, what string) { p.change(what) },
	"paused":      func(p *player, what string) { p.paused = func() { p.change(what) } },
	"try": func(p *player, _ string) {
		p.call(func(l *lock.DirLock) (string, error) {
			ok, err := l.TryLock()
			return fmt.Sprint(ok), err
		})
	},
	"unlock": func(p *player, _ string) {
		p.call(func(l *lock.DirLock) (string, error) { return "ok", l.Unlock() })
	},
	"check": func(p *player, _ string) {
		p.call(func(l *lock.DirLock) (string, error) { return "ok", l.Check() })
	},
	"status": func(p *player, _ string) {
		p.call(func(l *lock.DirLock) (string, error) {
			s, err := l.Status()
			state, blocks := s.State()
			states := []string{state.String()}
			if blocks.Path != "" {
				states[0] += fmt.Sprintf(" by L%d", blocks.N)
			}
			for _, lv := range s.Levels {
				states = append(states, fmt.Sprintf("L%d %v", lv.N, lv.State))
			}
			return strings.Join(states, ", "), err
		})
	},
	"break": func(p *player, names string) {
		p.breaks(names, func(l *lock.DirLock, ids ...string) error { return l.Break(p.t.Context(), ids...) })
	},
	"forcebreak": func(p *player, names string) {
		p.breaks(names, func(l *lock.DirLock, ids ...string) error { return l.ForceBreak(p.t.Context(), ids...) })
	},
}

// fail has an operation fail with this error.
func (p *player) fail(op string, err error) {
	p.befores = append(p.befores, func(o memfs.Op) error {
		if o.String() == op {
			return err
		}
		return nil
	})
}

// breaks calls Break or ForceBreak for the owners of these files.
func (p *player) breaks(names string, method func(l *lock.DirLock, ids ...string) error) {
	ids := []string{}
	for _, name := range strings.Fields(names) {
		id := someOwner.ID
		if name != "other" {
			o, err := lock.ParseRecord([]byte(p.data(name)))
			require.NoError(p.t, err)
			id = o.ID
		}
		ids = append(ids, id)
	}
	p.call(func(l *lock.DirLock) (string, error) { return "ok", method(l, ids...) })
}

func (p *player) later(by string) {
	d, err := time.ParseDuration(by)
	require.NoError(p.t, err)
	p.now = p.now.Add(d)
}

var diskOptions = map[string]memfs.Option{
	"witness":    memfs.Witness(fsys.Held),
	"network":    memfs.Network(),
	"no-ids":     memfs.NoIDs(),
	"no-replace": memfs.NoReplace(),
}

// change is what somebody else does: a situation, or a verb and a name.
func (p *player) change(what string) {
	verb, name, ok := strings.Cut(what, " ")
	if !ok {
		p.set(what)
		return
	}
	switch verb {
	case "remove":
		p.rm(name)
	case "again": // another file with the same data
		p.again(name)
	case "held": // the same, and somebody has a lock on it
		p.again(name)
		p.Lock(at(name), fsys.Held)
	case "special":
		p.Special(at(name), fs.ModeNamedPipe)
	case "abroad": // a record of another machine's process
		p.put(name, p.record(p.procs.Machine("abroad").Start("abroad")))
	case "contained": // of a process in another PID namespace
		p.put(name, p.record(p.procs.Container().Start("contained")))
	case "dead":
		p.put(name, p.record(p.dead))
	case "live":
		p.put(name, p.record(p.live))
	case "overwrite":
		p.Write(at(name), []byte("mine"))
	case "truncate":
		p.Write(at(name), nil)
	default:
		p.t.Fatalf("%s: nobody can do this", what)
	}
}

// call calls a method, and writes down the operations, the result, and what is in
// the directory then.
func (p *player) call(method func(*lock.DirLock) (string, error)) {
	if p.lock == nil {
		p.lock, _ = p.handle(lock.WithClock(func() time.Time { return p.now }))
		lock.SetMaxAttempts(p.lock, p.attempts)
		lock.SetMaxGap(p.lock, 2)
	}
	p.ops, p.pauses = nil, nil
	result, err := method(p.lock)
	for _, op := range p.ops {
		fmt.Fprintln(&p.out, "   ", op)
	}
	if err != nil {
		result = "error: " + kind(err)
	}
	fmt.Fprintf(&p.out, "    = %s; %s", result, p.left())
	if n := len(p.pauses); n > 0 {
		fmt.Fprintf(&p.out, "; %d pauses", n)
	}
	fmt.Fprintln(&p.out)
}

// kind names the sentinels that an error matches, in no words that could change.
func kind(err error) string {
	var kinds []string
	for name, is := range sentinels {
		if errors.Is(err, is) {
			kinds = append(kinds, name)
		}
	}
	slices.Sort(kinds)
	if errors.Is(err, errInjected) {
		kinds = append(kinds, "injected")
	}
	if len(kinds) == 0 {
		return strings.ReplaceAll(err.Error(), "\n", " / ")
	}
	return strings.Join(kinds, " ")
}

// left says whose files are in the directory.
func (p *player) left() string {
	var files []string
	for _, name := range p.names() {
		whose := "unrecognized"
		o, err := lock.ParseRecord([]byte(p.data(name)))
		switch {
		case !p.files()[name].Mode.IsRegular():
			whose = "not a file"
		case err == nil:
			whose = o.Command
		case errors.Is(err, lock.ErrTorn):
			whose = "torn"
		}
		files = append(files, name+" "+whose)
	}
	if files == nil {
		return "empty"
	}
	return strings.Join(files, ", ")
}
