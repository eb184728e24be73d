package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// tested are the packages whose short tests run on other kernels and processors.
var tested = []string{"proc", "fsys/osfs", "fsys/fsystest", "fsys/memfs", "lock"}

// searches are tests that go through all interleavings in memory: minutes without
// emulation, and the same on every processor.
const searches = "Explore|Mutant"

// kernels runs the tests on the kernels of three releases of Debian: 5.10 has no
// pidfs and no link of an open file without privileges; 6.12 has both.
func (l *lab) kernels() {
	for _, suite := range []string{"bullseye", "bookworm", "trixie"} {
		a, err := openArchive(l.ctx, l.cache, suite, "amd64")
		check(err, "%s", suite)
		k, err := getKernel(l.ctx, a, "linux-image-cloud-amd64")
		check(err, "%s", suite)
		l.testsIn(suite, "amd64", a, k)
	}
}

// bigEndian runs the tests on a whole system of another processor.
func (l *lab) bigEndian() {
	a, err := openArchive(l.ctx, l.cache, l.suite, "s390x")
	check(err, "s390x")
	k, err := getKernel(l.ctx, a, "linux-image-s390x")
	check(err, "s390x")
	l.testsIn("s390x", "s390x", a, k)
}

// testsIn runs the short tests in a guest that has the tree of this repository.
func (l *lab) testsIn(name, arch string, a *archive, k *kernel) {
	busybox, err := a.unpack(l.ctx, "busybox", "busybox-static")
	check(err, "busybox")
	bin := filepath.Join(busybox, "bin", "busybox")
	if !exists(bin) {
		bin = filepath.Join(busybox, "usr", "bin", "busybox")
	}
	r, err := newInitrd(bin)
	check(err, "initrd")
	lists := []string{"virtio_pci", "virtio_console", "virtio_rng", "virtio_net", "virtio_blk", "ext4", "overlay", "fuse"}
	check(r.addModules(l.ctx, k, lists...), "modules")
	files, err := output(l.ctx, "", "git", "ls-files")
	check(err, "git")
	for f := range strings.Lines(files) {
		f = strings.TrimSpace(f)
		if data, err := os.ReadFile(f); err == nil {
			r.add("src/"+f, 0o644, data)
		}
	}
	for _, p := range tested {
		test := strings.ReplaceAll(p, "/", "-") + ".test"
		check(l.build(arch, test, "test", "-c", module+"/"+p), "build")
		check(r.copy("src/"+p+"/"+test, filepath.Join(l.bins, arch, test)), "initrd")
	}
	image := filepath.Join(l.dir, name+".initrd")
	check(r.write(image), "initrd")
	g := l.up(machine{
		name: "t", arch: arch, kernel: k.image, initrd: image, memory: 1024, modules: lists[5:],
		disks: []string{l.disk("tests-"+name, "256M", "mkfs.ext4", "-q")},
	})
	g.sh("mkdir -p /ext4; mount -t ext4 /dev/vda /ext4 && mkdir -p /ext4/tmp")
	for _, p := range tested {
		start := time.Now()
		out, err := g.try(l.patience, fmt.Sprintf("cd /src/%s && TMPDIR=/ext4/tmp ./%s.test -test.short -test.v -test.skip='%s' -test.timeout=%v >/run/tests 2>&1; "+
			"grep -E '^(---|PASS|FAIL|panic|    )' /run/tests; grep -q '^PASS' /run/tests || tail -n 40 /run/tests",
			p, strings.ReplaceAll(p, "/", "-"), searches, l.patience-10*time.Second))
		l.reportTests(name+" ("+k.version+"): "+p, out, err, time.Since(start))
	}
	l.down("t")
}

var (
	failedTest  = regexp.MustCompile(`(?m)^--- FAIL: (\S+)`)
	passedTest  = regexp.MustCompile(`(?m)^--- PASS: `)
	ended       = regexp.MustCompile(`(?m)^PASS$`)
	skippedTest = regexp.MustCompile(`(?m)^--- SKIP: (\S+)`)
)

func (l *lab) reportTests(what, out string, err error, took time.Duration) {
	_ = os.WriteFile(filepath.Join(l.dir, "tests-"+strings.Map(func(r rune) rune {
		if r == '/' || r == ' ' || r == ':' {
			return '-'
		}
		return r
	}, what)+".log"), []byte(out), 0o644)
	failed := failedTest.FindAllStringSubmatch(out, -1)
	var names []string
	for _, f := range failed {
		names = append(names, f[1])
	}
	ok := err == nil && len(failed) == 0 && ended.MatchString(out)
	saw := fmt.Sprintf("%d pass, %d skip, %d fail %v in %.0f s", len(passedTest.FindAllString(out, -1)), len(skippedTest.FindAllString(out, -1)), len(failed), names, took.Seconds())
	if !ended.MatchString(out) {
		saw += fmt.Sprintf(": did not end by itself: %.200v", err)
	}
	l.report(what, ok, "%s", saw)
}

// intel32 runs the tests for 386, which this machine's processor can do itself.
func (l *lab) intel32() {
	for _, p := range tested {
		test := strings.ReplaceAll(p, "/", "-") + ".test"
		check(l.build("386", test, "test", "-c", module+"/"+p), "build")
		start := time.Now()
		cmd := exec.CommandContext(l.ctx, "nice", filepath.Join(l.bins, "386", test), "-test.short", "-test.v", "-test.skip="+searches, "-test.timeout="+l.patience.String())
		cmd.Dir = p
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = nil
		}
		l.reportTests("386: "+p, string(out), err, time.Since(start))
	}
}
