package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// diskKind is a file system on a disk of its own.
type diskKind struct {
	name    string
	size    string
	mkfs    []string
	options string
}

var diskKinds = []diskKind{
	{"ext4", "64M", []string{"mkfs.ext4", "-q"}, "defaults"},
	{"xfs", "512M", []string{"mkfs.xfs", "-q"}, "defaults"},
	{"btrfs", "256M", []string{"mkfs.btrfs", "-q"}, "commit=1"},
	{"vfat", "64M", []string{"mkfs.vfat"}, "defaults"},
	{"exfat", "64M", []string{"mkfs.exfat"}, "defaults"},
}

// cuts is what was seen of one file system.
type cuts struct {
	right, wrong       int
	empty, torn, whole int // L0 that were there: of no length or zeros, cut short, whole records
	temps, litter      int
	times              []float64 // of TryLock, in milliseconds
	problems           []string
}

// diskModules are for the disks, in the order in which they are loaded.
var diskModules = []string{
	"crc32c_intel", "crc32c_generic", "nls_cp437", "nls_ascii", "nls_utf8", "nls_iso8859-1",
	"ext4", "xfs", "btrfs", "vfat", "exfat",
}

func (l *lab) powerInitrd() string {
	return l.initrdWith("power", func(r *initrd) error {
		return r.addModules(l.ctx, l.kernel, diskModules...)
	})
}

// power cuts the power of a machine while directories on its disks are locked and
// unlocked, and looks what stands there and what the next TryLock says.
func (l *lab) power() {
	m := machine{name: "p", initrd: l.powerInitrd(), memory: 320, modules: diskModules}
	for _, k := range diskKinds {
		m.disks = append(m.disks, l.disk("power-"+k.name, k.size, k.mkfs[0], k.mkfs[1:]...))
	}
	seen := map[string]*cuts{}
	for _, k := range diskKinds {
		seen[k.name] = &cuts{}
	}
	defer func() { // also of those before a failure
		for _, k := range diskKinds {
			l.reportCuts(k, seen[k.name])
		}
	}()
	// The first start finds new disks. Each of the others comes after a cut.
	for cycle := 0; cycle <= l.cycles; cycle++ {
		g := l.up(m)
		// Emulation translates a program when it runs for the first time.
		g.sh("mkdir /tmp/warm; driver try /tmp/warm; driver try /tmp/warm")
		for i, k := range diskKinds {
			g.afterCut(l, k, i, cycle > 0, seen[k.name])
		}
		if cycle < l.cycles {
			for _, k := range diskKinds {
				g.sh(fmt.Sprintf("(driver crash /d/%s/d /d/%[1]s/other >/tmp/crash.%[1]s 2>&1 &); until [ -s /d/%[1]s/other ]; do sleep 0.05; done", k.name))
			}
			time.Sleep(500*time.Millisecond + rand.N(3*time.Second))
			for _, k := range diskKinds {
				if out := g.sh("cat /tmp/crash." + k.name); out != "" {
					seen[k.name].problems = append(seen[k.name].problems, out)
				}
			}
			time.Sleep(rand.N(500 * time.Millisecond))
		}
		l.down("p")
		// FAT has no journal. What it is after a cut, the kernel mounts read-only
		// as soon as it finds out, and machines check before they mount it.
		for _, k := range diskKinds {
			if k.name == "vfat" {
				_, _ = output(l.ctx, "", "fsck.fat", "-a", l.disk("power-"+k.name, k.size, k.mkfs[0]))
			}
		}
	}
}

// afterCut mounts a disk and looks.
func (g *guest) afterCut(l *lab, k diskKind, disk int, cut bool, seen *cuts) {
	_, err := g.try(time.Minute, fmt.Sprintf("mkdir -p /d/%s; mount -t %[1]s -o %s /dev/vd%c /d/%[1]s && mkdir -p /d/%[1]s/d", k.name, k.options, 'a'+disk))
	check(err, "mount %s", k.name)
	files, _ := g.try(time.Minute, fmt.Sprintf(`cd /d/%s/d; rm -f ../other; for f in L* .dirlock-*; do [ -e "$f" ] && echo "$f $(stat -c %%s "$f") $(tr -d '\000' <"$f" | wc -c) $(tail -n 1 "$f" | tr -d '\000')"; done; true`, k.name))
	if !cut {
		return
	}
	status, _ := g.try(time.Minute, "dirlock status /d/"+k.name+"/d")
	out, err := g.try(time.Minute, fmt.Sprintf("driver try /d/%s/d", k.name))
	var ok bool
	var ms float64
	_, _ = fmt.Sscanf(out, "try %t %f", &ok, &ms)
	seen.times = append(seen.times, ms)
	if err == nil && ok {
		seen.right++
	} else {
		seen.wrong++
		seen.problems = append(seen.problems, fmt.Sprintf("%s %v; there was %q; %s", out, err, files, status))
	}
	seen.note(files)
	left := g.sh("ls -A /d/" + k.name + "/d")
	if left != "" {
		seen.litter++
		l.logf("%s: there was %q, left is %q", k.name, files, left)
	}
}

// note counts what stood there after a cut.
func (c *cuts) note(files string) {
	for line := range strings.Lines(files) {
		f := strings.Fields(line)
		switch {
		case len(f) < 3:
		case strings.HasPrefix(f[0], ".dirlock-"):
			c.temps++
		case f[2] == "0":
			c.empty++
		case len(f) == 4 && f[3] == "end":
			c.whole++
		default:
			c.torn++
		}
	}
}

func (l *lab) reportCuts(k diskKind, c *cuts) {
	slow, longest := 0, 0.0
	for _, t := range c.times {
		if longest = max(longest, t); t > 100 {
			slow++
		}
	}
	l.report(k.name+": power cuts", c.wrong == 0 && c.right == l.cycles && len(c.problems) == 0,
		"%d of %d next TryLocks right, %d of them after more than 100 ms, the longest %.0f ms; level files met: %d whole, %d empty, %d cut short; temporary files met: %d; left after it: %d times %s",
		c.right, l.cycles, slow, longest, c.whole, c.empty, c.torn, c.temps, c.litter, strings.Join(c.problems, "; "))
}
