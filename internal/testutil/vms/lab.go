package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const module = "github.com/dirlock/dirlock"

type labOptions struct {
	cache   string
	dir     string
	torture time.Duration
	cycles  int
	quick   bool

	patience time.Duration
}

// lab is what the scenarios have in common.
type lab struct {
	labOptions
	ctx     context.Context
	bins    string // programs for the guests
	temp    bool   // dir is to be removed
	guests  map[string]*guest
	section string
	rows    []row

	suite   string
	main    *archive // of this machine's release
	kernel  *kernel
	initrds map[string]string // by what is in them
}

// row is a line of the table of results.
type row struct {
	section, what string
	ok            bool
	saw           string
}

// failure is what check panics with.
type failure struct{ error }

func check(err error, format string, args ...any) {
	if err != nil {
		panic(failure{fmt.Errorf(format+": %w", append(args, err)...)})
	}
}

// guarded runs a scenario, and returns the failure that ended it.
func (l *lab) guarded(scenario func(*lab)) (err error) {
	defer func() {
		switch f := recover().(type) {
		case nil:
		case failure:
			l.report("completed", false, "%v", f.error)
			err = fmt.Errorf("%s: %w", l.section, f.error)
		default:
			panic(f)
		}
	}()
	scenario(l)
	return nil
}

// report adds a row to the table.
func (l *lab) report(what string, ok bool, format string, args ...any) {
	r := row{l.section, what, ok, fmt.Sprintf(format, args...)}
	l.rows = append(l.rows, r)
	fmt.Println(r)
}

func (r row) String() string {
	result := "ok"
	if !r.ok {
		result = "WRONG"
	}
	return fmt.Sprintf("%-9s %-5s %-48s %s", r.section, result, r.what, r.saw)
}

func (l *lab) table() string {
	var b strings.Builder
	b.WriteString("\n")
	for _, r := range l.rows {
		fmt.Fprintln(&b, r)
	}
	return b.String()
}

func (l *lab) failures() (n int) {
	for _, r := range l.rows {
		if !r.ok {
			n++
		}
	}
	return n
}

func newLab(ctx context.Context, o labOptions) (_ *lab, err error) {
	l := &lab{labOptions: o, ctx: ctx, guests: map[string]*guest{}, initrds: map[string]string{}}
	if l.dir == "" {
		// Short: the path of a socket has 107 bytes at most.
		if l.dir, err = os.MkdirTemp("", "vms-"); err != nil {
			return nil, err
		}
		l.temp = true
	}
	if err := os.MkdirAll(l.dir, 0o755); err != nil {
		return nil, err
	}
	if l.suite, err = suiteOfThisMachine(); err != nil {
		return nil, err
	}
	if l.main, err = openArchive(ctx, l.cache, l.suite, "amd64"); err != nil {
		return nil, err
	}
	if l.kernel, err = getKernel(ctx, l.main, "linux-image-cloud-amd64"); err != nil {
		return nil, err
	}
	l.bins = filepath.Join(l.dir, "bin")
	for name, pkg := range map[string]string{"driver": module + "/internal/testutil/vms/driver", "dirlock": module + "/cmd/dirlock"} {
		if err := l.build("amd64", name, "build", pkg); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// build makes a static program for guests, of a package or of its tests.
func (l *lab) build(arch, name string, command ...string) error {
	args := append(command[:len(command)-1:len(command)-1], "-o", filepath.Join(l.bins, arch, name), command[len(command)-1])
	cmd := exec.CommandContext(l.ctx, "go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", cmd, err, out)
	}
	return nil
}

func (l *lab) close() error {
	l.downAll()
	if !l.temp {
		return nil
	}
	return os.RemoveAll(l.dir)
}

// up starts a guest, and fails if that cannot be done.
func (l *lab) up(m machine) *guest {
	if m.arch == "" {
		m.arch = "amd64"
	}
	if m.kernel == "" {
		m.kernel = l.kernel.image
	}
	start := time.Now()
	g, err := m.start(l.ctx, l.dir)
	check(err, "start %s", m.name)
	l.guests[m.name] = g
	l.logf("%s is up after %.1f s", m.name, time.Since(start).Seconds())
	return g
}

func (l *lab) logf(format string, args ...any) {
	fmt.Printf("%s %s: %s\n", time.Now().Format("15:04:05"), l.section, fmt.Sprintf(format, args...))
}

func (l *lab) down(names ...string) {
	for _, n := range names {
		if g := l.guests[n]; g != nil {
			g.kill()
			delete(l.guests, n)
		}
	}
}

func (l *lab) downAll() {
	for n := range l.guests {
		l.down(n)
	}
}

// initrdWith makes an archive for guests that has our own programs, and what add
// adds. It is made once for each name.
func (l *lab) initrdWith(name string, add func(*initrd) error) string {
	if path := l.initrds[name]; path != "" {
		return path
	}
	root, err := l.main.unpack(l.ctx, "busybox", "busybox-static")
	check(err, "busybox")
	r, err := newInitrd(filepath.Join(root, "bin", "busybox"))
	check(err, "initrd")
	check(r.addModules(l.ctx, l.kernel, "virtio_pci", "virtio_console", "virtio_rng", "virtio_net", "virtio_blk"), "modules")
	for _, p := range []string{"driver", "dirlock"} {
		check(r.copy("bin/"+p, filepath.Join(l.bins, "amd64", p)), "initrd")
	}
	check(add(r), "initrd")
	path := filepath.Join(l.dir, name+".initrd")
	check(r.write(path), "initrd")
	l.initrds[name] = path
	return path
}
