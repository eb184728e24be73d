package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// G and H: what a lock costs besides time.

func costs() {
	table("G. Allocations and system calls",
		"Of one TryLock and Unlock of a free lock, and of one TryLock of a lock that another process holds. System calls are counted by strace(1), if it is installed.",
		"file system", "", "allocations", "system calls", "allocations, held", "system calls, held")
	everywhere(func(p *place) {
		for _, c := range contenders {
			cycleAllocs := fmt.Sprintf("%.0f", testing.AllocsPerRun(200, p.op("cycle", c.Name)))
			cycleCalls := p.calls("cycle", c.Name)
			w := p.worker("hold", c.Name)
			w.answer()
			heldAllocs, heldCalls := "none", "none"
			if _, err := p.open(c.Name).TryLock(); !errors.Is(err, errors.ErrUnsupported) {
				heldAllocs = fmt.Sprintf("%.0f", testing.AllocsPerRun(200, p.op("held", c.Name)))
				heldCalls = p.calls("held", c.Name)
			}
			check(w.in.Close())
			w.wait()
			row(p.fs, c.Name, cycleAllocs, cycleCalls, heldAllocs, heldCalls)
		}
	})
}

func (p *place) op(what, name string) func() {
	l := p.open(name)
	if what == "held" {
		return func() { _, _ = l.TryLock() }
	}
	return func() {
		ok, err := l.TryLock()
		if errors.Is(err, errors.ErrUnsupported) {
			ok, err = true, l.Lock()
		}
		check(err)
		if ok {
			check(l.Unlock())
		}
	}
}

func init() {
	workers["repeat"] = func(p *place, args []string) {
		op := p.op(args[0], args[1])
		for range number(args[2]) {
			op()
		}
	}
}

var countedCalls = regexp.MustCompile(`(?m)^100\.00\s+\S+\s+\S*\s+(\d+).*total$`)

// calls counts the system calls of one op: those of many, less those of a
// process that does a few.
func (p *place) calls(what, name string) string {
	strace, err := exec.LookPath("strace")
	if err != nil {
		return "?"
	}
	const few, many = 10, 2010
	count := func(n int) float64 {
		exe, err := os.Executable()
		check(err)
		out := filepath.Join(p.top, "strace")
		// The futexes and the like of Go's scheduler are not the lock's.
		cmd := exec.Command(strace, "-f", "-c", "-o", out, "-e", "trace=%file,%desc,flock,kill,getpid", exe,
			"-worker", "repeat", p.top, what, name, strconv.Itoa(n))
		cmd.Stderr = os.Stderr
		check(cmd.Run())
		text, err := os.ReadFile(out)
		check(err)
		m := countedCalls.FindSubmatch(text)
		if m == nil {
			check(fmt.Errorf("strace says:\n%s", text))
		}
		return float64(number(string(m[1])))
	}
	return fmt.Sprintf("%.1f", (count(many)-count(few))/(many-few))
}

func imports() {
	table("H. What importing it costs",
		"Packages beyond an empty program's, and how much larger the program becomes.",
		"", "", "packages", "of them not the standard library's", "MiB")
	dir, err := os.MkdirTemp("", "bench-imports-")
	check(err)
	defer os.RemoveAll(dir)
	measure := func(path string) (all, foreign int, size int64) {
		src, exe := filepath.Join(dir, "main.go"), filepath.Join(dir, "main.exe")
		text := "package main\n\nfunc main() {}\n"
		if path != "" {
			text = "package main\n\nimport _ \"" + path + "\"\n\nfunc main() {}\n"
		}
		check(os.WriteFile(src, []byte(text), 0o644))
		out, err := exec.Command("go", "list", "-deps", "-f", "{{if .Standard}}std{{else}}x{{end}}", src).Output()
		check(err)
		lines := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
		for _, line := range lines {
			if line == "x" {
				foreign++
			}
		}
		build := exec.Command("go", "build", "-o", exe, src)
		build.Stderr = os.Stderr
		check(build.Run())
		info, err := os.Stat(exe)
		check(err)
		return len(lines), foreign, info.Size()
	}
	all0, foreign0, size0 := measure("")
	for _, c := range contenders {
		all, foreign, size := measure(c.Import)
		row(c.Name, "", all-all0, foreign-foreign0, fmt.Sprintf("%.1f", float64(size-size0)/(1<<20)))
	}
	fmt.Println()
}
