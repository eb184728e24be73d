package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// shares lets two machines use a directory of their host, by 9p and by virtiofs.
func (l *lab) shares() {
	k, err := getKernel(l.ctx, l.main, "linux-image-amd64") // those for clouds have no 9p
	check(err, "kernel")
	small := l.kernel
	l.kernel = k
	defer func() { l.kernel = small }()
	image := l.initrdWith("shares", func(r *initrd) error {
		return r.addModules(l.ctx, k, "9pnet_virtio", "9p", "virtiofs")
	})
	shared := filepath.Join(l.dir, "shared")
	check(os.MkdirAll(filepath.Join(shared, "d"), 0o777), "directory")
	check(os.Chmod(filepath.Join(shared, "d"), 0o777), "directory")
	l.share("9p", image, shared, "mkdir -p /m; mount -t 9p -o trans=virtio,version=9p2000.L,cache=none host /m", func(string) []string {
		return []string{"-fsdev", "local,id=f,security_model=none,path=" + shared, "-device", "virtio-9p-pci,fsdev=f,mount_tag=host"}
	})
	daemon := "/usr/lib/qemu/virtiofsd"
	if !exists(daemon) {
		l.report("virtiofs", true, "not run: no %s", daemon)
		return
	}
	l.share("virtiofs", image, shared, "mkdir -p /m; mount -t virtiofs host /m", func(name string) []string {
		socket := filepath.Join(l.dir, name+".fs")
		_ = os.Remove(socket)
		cmd := exec.CommandContext(l.ctx, daemon, "--socket-path="+socket, "-o", "source="+shared, "-o", "cache=none", "-o", "flock", "-o", "posix_lock")
		check(cmd.Start(), "virtiofsd")
		go func() { _ = cmd.Wait() }()
		until(func() bool { return exists(socket) })
		return []string{
			"-object", "memory-backend-memfd,id=mem,size=256M,share=on", "-numa", "node,memdev=mem",
			"-chardev", "socket,id=fs,path=" + socket, "-device", "vhost-user-fs-pci,chardev=fs,tag=host",
		}
	})
}

// share starts two guests that mount a directory, and looks what dirlock says.
func (l *lab) share(name, image, shared, mount string, args func(guest string) []string) {
	var guests []*guest
	for _, n := range []string{"a", "b"} {
		g := l.up(machine{name: n, initrd: image, modules: []string{"9pnet_virtio", "9p", "virtiofs"}, args: args(n)})
		g.sh(mount)
		guests = append(guests, g)
	}
	a, b := guests[0], guests[1]
	_, err := a.try(time.Minute, "driver try "+dir)
	if err != nil {
		l.report(name+": refuses", strings.Contains(err.Error(), "unsupported") || strings.Contains(err.Error(), "not supported"), "%v", err)
	} else {
		l.killedHolder(name, a, b)
		l.waiting(name, a, b)
		names, err := os.ReadDir(filepath.Join(shared, "d"))
		l.report(name+": nothing left", err == nil && len(names) == 0, "%v %v", names, err)
	}
	l.down("a", "b")
}

// snapshot stops a machine that holds the lock of a local directory, and lets it go
// on from there twice: a copy of a machine that runs has the same boot.
func (l *lab) snapshot() {
	disk := l.disk("snapshot", "64M", "mkfs.ext4", "-q")
	state := filepath.Join(l.dir, "snapshot.state")
	m := machine{name: "n", initrd: l.powerInitrd(), modules: []string{"ext4"}, disks: []string{disk}}
	g := l.up(m)
	g.sh("mkdir -p /m; mount -t ext4 /dev/vda /m; mkdir -p " + dir)
	h := g.hold()
	got, _ := g.tries()
	g.sh("sync")
	l.report("held", !got, "")
	// The state goes through a file, and the guest ends with its disk as it is.
	g.monitor("stop")
	g.monitor("migrate \"exec:cat >" + state + "\"")
	ok := until(func() bool { return strings.Contains(g.monitor("info migrate"), "completed") })
	l.report("snapshot", ok, "")
	l.down("n")
	for _, what := range []string{"restored", "restored again"} {
		before, err := os.ReadFile(disk)
		check(err, "disk")
		again := m
		again.args = []string{"-incoming", "exec:cat " + state}
		g = l.resume(again)
		got, _ = g.tries()
		out := lineWith(h.on(g).said(), "check:")
		l.report(what+": still held", !got && out == "check: <nil>", "%s; others: %v", out, got)
		l.down("n")
		check(os.WriteFile(disk, before, 0o644), "disk")
	}
	// A restart from the disk alone.
	g = l.up(m)
	g.sh("mkdir -p /m; mount -t ext4 /dev/vda /m")
	sees := g.verdict()
	got, out := g.tries()
	l.report("restarted from the disk", got, "%s; %s", sees, out)
}

// on is the same process in a guest that goes on from a snapshot.
func (h *holder) on(g *guest) *holder { return &holder{g, h.log, h.id} }

// resume starts a guest from a snapshot. Its shell waits for a command.
func (l *lab) resume(m machine) *guest {
	m.arch, m.kernel, m.resumes = "amd64", l.kernel.image, true
	g, err := m.start(l.ctx, l.dir)
	check(err, "resume %s", m.name)
	l.guests[m.name] = g
	until(func() bool { return exists(filepath.Join(l.dir, m.name+".mon")) })
	// It has been loaded when it is no more "paused (inmigrate)".
	until(func() bool { return !strings.Contains(g.monitor("info status"), "inmigrate") })
	g.monitor("cont")
	check(g.connect(l.ctx, false), "resume %s", m.name)
	return g
}

// emulators runs dirlock under qemu-user beside dirlock itself: for the kernel both
// are processes of this machine.
func (l *lab) emulators() {
	root, err := l.main.unpack(l.ctx, "qemu-user", "qemu-user-static")
	check(err, "qemu-user-static")
	drivers := []string{filepath.Join(l.bins, "amd64", "driver")}
	for goarch, emulator := range map[string]string{"arm64": "qemu-aarch64-static", "riscv64": "qemu-riscv64-static", "s390x": "qemu-s390x-static", "386": ""} {
		check(l.build(goarch, "driver", "build", module+"/internal/testutil/vms/driver"), "build")
		program := filepath.Join(l.bins, goarch, "driver")
		if emulator != "" { // this processor can do the other itself
			program = filepath.Join(root, "usr/bin", emulator) + " " + program
		}
		drivers = append(drivers, program)
	}
	place := filepath.Join(l.dir, "user")
	check(os.MkdirAll(place, 0o755), "directory")
	l.mixed("ext4 or what is here", place, drivers)
	source, view := filepath.Join(l.dir, "source"), filepath.Join(l.dir, "view")
	check(os.MkdirAll(source, 0o755), "directory")
	check(os.MkdirAll(view, 0o755), "directory")
	if _, err := output(l.ctx, "", "bindfs", source, view); err != nil {
		l.report("bindfs", true, "not run: %v", err)
		return
	}
	defer func() { _, _ = output(l.ctx, "", "umount", view) }()
	l.mixed("bindfs, without a witness", view, drivers)
}

// diesHolding has a process of this machine acquire the lock, and kills it.
func (l *lab) diesHolding(driver, place string) {
	cmd := exec.CommandContext(l.ctx, driver, "hold", place)
	out, err := cmd.StdoutPipe()
	check(err, "hold")
	check(cmd.Start(), "hold")
	_, err = bufio.NewReader(out).ReadString('\n')
	check(err, "hold")
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
}

// mixed runs contention among programs of several processors on this machine.
func (l *lab) mixed(name, place string, drivers []string) {
	driver := filepath.Join(l.bins, "amd64", "driver")
	const address = "127.0.0.1:17017"
	oracle := exec.CommandContext(l.ctx, driver, "oracle", address)
	check(oracle.Start(), "oracle")
	defer func() {
		_ = oracle.Process.Kill()
		_ = oracle.Wait()
	}()
	time.Sleep(time.Second)
	cmd := exec.CommandContext(l.ctx, "nice", driver, "torture", place, address, (l.torture / 2).String(), fmt.Sprint(len(drivers)), "100ms")
	cmd.Env = append(os.Environ(), "DRIVERS="+strings.Join(drivers, ";"))
	out, err := cmd.CombinedOutput()
	stat, e := output(l.ctx, "", driver, "ask", address, "stat")
	check(e, "oracle")
	wrong := strings.Count(string(out), " error ") + strings.Count(string(out), " wrong ")
	l.report(name, err == nil && wrong == 0 && !strings.Contains(stat, "violations") && strings.Contains(stat, "acquired"),
		"%d errors: %s; %s", wrong, strings.TrimSpace(string(out)), strings.TrimSpace(stat))
	// What is above a free L0 goes with the next recovery.
	l.diesHolding(driver, place)
	got, err := output(l.ctx, "", driver, "try", place)
	left, _ := os.ReadDir(place)
	l.report(name+": free again, and nothing left", err == nil && len(left) == 0, "%s %v %v", strings.TrimSpace(got), err, left)
}
