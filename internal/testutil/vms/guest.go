package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// guest is a running virtual machine.
type guest struct {
	name   string
	dir    string
	cmd    *exec.Cmd
	ended  chan struct{} // closed when qemu has ended
	conn   net.Conn
	answer *bufio.Reader
	mu     sync.Mutex // held for one command
	count  int        // of holders
}

// machine says how to start one.
type machine struct {
	name    string
	arch    string // of Go
	kernel  string
	initrd  string
	modules []string // by the names of their lists
	memory  int      // MiB, 256 if it is 0
	disks   []string
	args    []string // more of qemu
	append  string   // more of the kernel's command line
	resumes bool     // from a snapshot: it does not say that it is up
}

// qemus are the programs and options by architecture. There is no KVM where this
// runs, as a rule.
var qemus = map[string]struct {
	program string
	args    []string
	append  string
	serial  string
	block   string
	net     string
	rng     string
}{
	"amd64": {"qemu-system-x86_64", []string{"-M", "q35", "-cpu", "max"}, "console=ttyS0 no_timer_check clocksource=hpet", "virtio-serial-pci", "virtio-blk-pci", "virtio-net-pci", "virtio-rng-pci"},
	"arm64": {"qemu-system-aarch64", []string{"-M", "virt", "-cpu", "cortex-a57"}, "console=ttyAMA0", "virtio-serial-pci", "virtio-blk-pci", "virtio-net-pci", "virtio-rng-pci"},
	"s390x": {"qemu-system-s390x", []string{"-M", "s390-ccw-virtio", "-cpu", "max"}, "console=ttysclp0", "virtio-serial-ccw", "virtio-blk-ccw", "virtio-net-ccw", "virtio-rng-ccw"},
}

// bootTime is how long a guest may take to start, under emulation.
const bootTime = 6 * time.Minute

// start boots a guest. It has ended when the context is done.
func (m machine) start(ctx context.Context, dir string) (*guest, error) {
	q := qemus[m.arch]
	shell := filepath.Join(dir, m.name+".sh")
	monitor := filepath.Join(dir, m.name+".mon")
	for _, s := range []string{shell, monitor} {
		_ = os.Remove(s)
	}
	memory := m.memory
	if memory == 0 {
		memory = 256
	}
	args := append([]string{
		"-name", m.name, "-accel", "tcg", "-m", fmt.Sprint(memory), "-smp", "1",
		"-nodefaults", "-display", "none", "-no-reboot", "-nic", "none",
		"-kernel", m.kernel, "-initrd", m.initrd,
		"-append", fmt.Sprintf("%s panic=-1 quiet mitigations=off nowatchdog rcupdate.rcu_cpu_stall_suppress=1 lab.name=%s lab.modules=%s %s",
			q.append, m.name, strings.Join(append([]string{"virtio_pci", "virtio_console", "virtio_rng", "virtio_net", "virtio_blk"}, m.modules...), ","), m.append),
		"-serial", "file:" + filepath.Join(dir, m.name+".log"),
		"-chardev", "socket,id=sh,server=on,wait=off,path=" + shell,
		"-device", q.serial, "-device", "virtserialport,chardev=sh,name=sh",
		"-monitor", "unix:" + monitor + ",server=on,wait=off",
		"-device", q.rng,
	}, q.args...)
	for i, d := range m.disks {
		args = append(args,
			"-drive", fmt.Sprintf("if=none,id=d%d,format=raw,cache=writeback,file=%s", i, d),
			"-device", fmt.Sprintf("%s,drive=d%d", q.block, i))
	}
	args = append(args, m.args...)
	args = append([]string{"-n", "5", q.program}, args...)
	g := &guest{name: m.name, dir: dir, ended: make(chan struct{})}
	g.cmd = exec.CommandContext(ctx, "nice", args...)
	out, err := os.Create(filepath.Join(dir, m.name+".out"))
	if err != nil {
		return nil, err
	}
	defer out.Close()
	g.cmd.Stdout, g.cmd.Stderr = out, out
	if err := g.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = g.cmd.Wait()
		close(g.ended)
	}()
	if m.resumes {
		return g, nil
	}
	if err := g.connect(ctx, true); err != nil {
		g.kill()
		said, _ := os.ReadFile(out.Name())
		logged, _ := os.ReadFile(filepath.Join(dir, m.name+".log"))
		return nil, fmt.Errorf("guest %s does not start: %w\n%s\n%s", m.name, err, said, logged)
	}
	return g, nil
}

// connect waits until the guest says that it is up. The connection stays.
func (g *guest) connect(ctx context.Context, greets bool) (err error) {
	end := time.Now().Add(bootTime)
	for {
		g.conn, err = net.Dial("unix", filepath.Join(g.dir, g.name+".sh"))
		if err == nil {
			break
		}
		select {
		case <-g.ended:
			return errors.New("qemu has ended")
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
			if time.Now().After(end) {
				return err
			}
		}
	}
	_ = g.conn.SetDeadline(end)
	g.answer = bufio.NewReader(g.conn)
	if greets {
		_, err = g.answer.ReadString('\n')
	}
	return err
}

// exitError is the status of a command that failed.
type exitError struct {
	status int
	output string
}

func (e *exitError) Error() string { return fmt.Sprintf("status %d: %s", e.status, e.output) }

// try runs a command in the guest's shell and returns what it printed, as an
// [exitError] as well if it failed.
func (g *guest) try(limit time.Duration, command string) (string, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	_ = g.conn.SetDeadline(time.Now().Add(limit))
	if _, err := fmt.Fprintln(g.conn, base64.StdEncoding.EncodeToString([]byte(command))); err != nil {
		return "", fmt.Errorf("guest %s: %w", g.name, err)
	}
	line, err := g.answer.ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("guest %s: %.60s…: %w", g.name, command, err)
	}
	var status, size int
	if _, err := fmt.Sscan(line, &status, &size); err != nil {
		return "", fmt.Errorf("guest %s: answer %q: %w", g.name, line, err)
	}
	out := make([]byte, size)
	if _, err := io.ReadFull(g.answer, out); err != nil {
		return "", fmt.Errorf("guest %s: %w", g.name, err)
	}
	text := strings.TrimSpace(string(out))
	if status != 0 {
		return text, &exitError{status, text}
	}
	return text, nil
}

// sh is try for commands that do not take long and must not fail.
func (g *guest) sh(command string) string {
	out, err := g.try(2*time.Minute, command)
	check(err, "%s: %s", g.name, command)
	return out
}

// kill cuts the power.
func (g *guest) kill() {
	_ = g.cmd.Process.Kill()
	<-g.ended
	if g.conn != nil {
		_ = g.conn.Close()
	}
}

// monitor gives qemu a command.
func (g *guest) monitor(command string) string {
	c, err := net.Dial("unix", filepath.Join(g.dir, g.name+".mon"))
	check(err, "monitor of %s", g.name)
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	r := bufio.NewReader(c)
	prompt := func() string {
		var b strings.Builder
		for !strings.HasSuffix(b.String(), "(qemu) ") {
			x, err := r.ReadByte()
			check(err, "monitor of %s", g.name)
			b.WriteByte(x)
		}
		return b.String()
	}
	prompt()
	_, err = fmt.Fprintln(c, command)
	check(err, "monitor of %s", g.name)
	return prompt()
}
