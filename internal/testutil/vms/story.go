package main

import (
	"fmt"
	"strings"
	"time"
)

// dir is the directory that the machines share, where clients see it.
const dir = "/m/d"

// holder is a process of a guest that holds the lock.
type holder struct {
	g   *guest
	log string
	id  string // of the owner
}

// hold has a process take the lock and keep it.
func (g *guest) hold(env ...string) *holder {
	g.count++
	h := &holder{g: g, log: fmt.Sprintf("/tmp/hold.%d", g.count)}
	out := g.sh(fmt.Sprintf("(%s driver hold %s >%s 2>&1 & echo $! >%[3]s.pid); until [ -s %[3]s ]; do sleep 0.05; done; cat %[3]s", strings.Join(env, " "), dir, h.log))
	if _, err := fmt.Sscanf(out, "held %s", &h.id); err != nil {
		panic(failure{fmt.Errorf("%s cannot hold the lock: %s", g.name, out)})
	}
	return h
}

// kill kills the process.
func (h *holder) kill() {
	h.g.sh(fmt.Sprintf("kill -9 $(cat %s.pid); while kill -0 $(cat %[1]s.pid) 2>/dev/null; do sleep 0.05; done", h.log))
}

// said returns what the process has said by now.
func (h *holder) said() string { return h.g.sh("cat " + h.log) }

// release has it unlock, and returns all that it said.
func (h *holder) release() string {
	out, err := h.g.try(2*time.Minute, fmt.Sprintf("kill -TERM $(cat %s.pid); until grep -q ^unlock: %[1]s; do sleep 0.05; done; cat %[1]s", h.log))
	check(err, "%s releases the lock", h.g.name)
	return out
}

// tries has a new process try the lock.
func (g *guest) tries(env ...string) (ok bool, out string) {
	out, err := g.try(2*time.Minute, strings.Join(env, " ")+" driver try "+dir)
	return err == nil && strings.HasPrefix(out, "try true"), out
}

// verdict is what status says of L0: a state and the reason.
func (g *guest) verdict() string {
	out, _ := g.try(time.Minute, "dirlock status "+dir)
	for line := range strings.Lines(out) {
		if l0, ok := strings.CutPrefix(strings.TrimSpace(line), "L0 "); ok {
			return strings.Join(strings.Fields(l0), " ")
		}
	}
	return strings.TrimSpace(out)
}

// until asks again until the answer is yes, for a minute and a half at most.
func until(yes func() bool) bool {
	for end := time.Now().Add(90 * time.Second); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		if yes() {
			return true
		}
	}
	return false
}

// nfsVerdicts tells, for each way to mount, who gets a directory that another
// process has, had, or was broken out of.
func (l *lab) nfsVerdicts() {
	s, a, b := l.nfsGuest("s"), l.nfsGuest("a"), l.nfsGuest("b")
	for _, m := range mounts {
		if l.quick && !m.full {
			continue
		}
		s.empty()
		a.remount(m.options)
		b.remount(m.options)
		l.killedHolder(m.name, a, b)
		l.waiting(m.name, a, b)
		l.brokenHolder(m.name, s, a, b)
		left := s.names()
		l.report(m.name+": nothing left", left == "", "%s", left)
	}
}

func (g *guest) empty() { g.sh("rm -rf /srv/d; mkdir -p /srv/d; chmod 777 /srv/d") }

// names are what stands in the directory, on the server's own disk.
func (g *guest) names() string { return g.sh("ls -A /srv/d | tr '\n' ' '") }

func (l *lab) killedHolder(name string, a, b *guest) {
	h := a.hold()
	aSees, bSees := a.verdict(), b.verdict()
	bGot, _ := b.tries()
	l.report(name+": held", !bGot && strings.HasPrefix(aSees, "alive"), "its machine: %s; the other: %s", aSees, bSees)
	h.kill()
	aSees, bSees = a.verdict(), b.verdict()
	bGot, _ = b.tries()
	aGot, out := a.tries()
	l.report(name+": holder killed", aGot && !bGot && strings.HasPrefix(aSees, "dead"), "its machine: %s, %s; the other: %s", aSees, out, bSees)
}

func (l *lab) waiting(name string, a, b *guest) {
	h := a.hold()
	b.sh("(driver wait " + dir + " >/tmp/wait 2>&1 &)")
	time.Sleep(2 * time.Second)
	early := b.sh("cat /tmp/wait")
	h.release()
	released := time.Now()
	got := until(func() bool { return strings.HasPrefix(b.sh("cat /tmp/wait"), "got it") })
	l.report(name+": waiting across machines", got && early == "", "had it at most %.1f s after the release", time.Since(released).Seconds())
}

// brokenHolder breaks a live owner, and lets it unlock when another one has the
// lock.
func (l *lab) brokenHolder(name string, s, a, b *guest) {
	first := a.hold()
	_, err := b.try(time.Minute, "dirlock break --force "+dir+" --owner "+first.id)
	if err != nil {
		l.report(name+": broken holder", false, "%v", err)
		first.release()
		return
	}
	second := b.hold()
	time.Sleep(3 * time.Second)
	out := first.release()
	stands := strings.Contains(s.sh("cat /srv/d/L0 2>&1"), second.id)
	got, _ := a.tries()
	l.report(name+": broken holder unlocks", stands && !got && strings.Contains(out, "unlock: unlock "),
		"it is told %q; the next owner's file stands: %v", strings.ReplaceAll(lineWith(out, "unlock:"), "unlock: unlock "+dir, ""), stands)
	second.release()
}

func lineWith(text, prefix string) string {
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, prefix) {
			return strings.TrimSpace(line)
		}
	}
	return ""
}

// nfsCrashes cuts the power of the server, and the network.
func (l *lab) nfsCrashes() {
	s, a, b := l.nfsGuest("s"), l.nfsGuest("a"), l.nfsGuest("b")
	for _, m := range mounts {
		if !m.full {
			continue
		}
		s.empty()
		a.remount(m.options)
		b.remount(m.options)
		l.parted(m.name, s, a, b)
		s = l.restartedServer(m.name, a, b)
	}
}

// nfsRestarts cuts the power of a client.
func (l *lab) nfsRestarts() {
	s, a, b := l.nfsGuest("s"), l.nfsGuest("a"), l.nfsGuest("b")
	for _, m := range mounts {
		if !m.full {
			continue
		}
		s.empty()
		a.remount(m.options)
		b.remount(m.options)
		a = l.cutClient(m.name, m.options, s, b)
	}
}

// parted unplugs the network of a machine that holds the lock, for longer than the
// server's lease.
func (l *lab) parted(name string, s, a, b *guest) {
	h := a.hold()
	s.monitor("set_link na off")
	time.Sleep(25 * time.Second)
	sees := b.verdict()
	got, _ := b.tries()
	s.monitor("set_link na on")
	checked := a.try
	_, err := checked(3*time.Minute, "ls "+dir)
	check(err, "%s: network healed", name)
	time.Sleep(time.Second)
	out := h.release()
	after, _ := b.tries()
	l.report(name+": network parted and healed", !got && after, "meanwhile the other sees it %s; afterwards the holder is told: %s", sees, strings.ReplaceAll(out, "\n", ", "))
}

// restartedServer cuts the power of the server while a client holds the lock.
func (l *lab) restartedServer(name string, a, b *guest) *guest {
	h := a.hold()
	l.down("s")
	s := l.nfsGuest("s")
	_, err := a.try(3*time.Minute, "ls "+dir)
	check(err, "%s: server restarted", name)
	got, _ := b.tries() // in the grace period, or when it is over
	time.Sleep(15 * time.Second)
	sees := b.verdict()
	still, _ := b.tries()
	out := h.release()
	after, _ := b.tries()
	l.report(name+": server cut and restarted", !got && !still && after && strings.Contains(out, "unlock: <nil>"),
		"the other sees it %s; the holder is told: %s", sees, strings.ReplaceAll(out, "\n", ", "))
	return s
}

// cutClient cuts the power of a machine that holds the lock, and starts it again.
func (l *lab) cutClient(name, options string, s, b *guest) *guest {
	a := l.guests["a"]
	h := a.hold("DIRLOCK_MACHINE=a")
	l.down("a")
	first := b.verdict()
	early, _ := b.tries()
	a = l.nfsGuest("a")
	a.remount(options)
	time.Sleep(15 * time.Second) // longer than the server's lease
	aSees, bSees := a.verdict(), b.verdict()
	aGot, _ := a.tries()
	bGot, _ := b.tries()
	l.report(name+": machine cut", !early && !aGot && !bGot, "at once the other sees it %s, and later %s; after its restart the machine sees it %s", first, bSees, aSees)

	vouched, out := a.tries("DIRLOCK_MACHINE=a")
	l.report(name+": … by a machine that is vouched for", vouched, "%s", out)
	if !vouched {
		_, err := b.try(time.Minute, "dirlock break "+dir+" --owner "+h.id)
		l.report(name+": … and broken", err == nil, "%v", err)
	}
	bGot, out = b.tries()
	left := s.names()
	l.report(name+": … free, and nothing left", bGot && left == "", "%s; left: %s", out, left)
	return a
}
