package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"
)

// nfsInitrd has a server and a client of NFS.
func (l *lab) nfsInitrd() string {
	return l.initrdWith("nfs", func(r *initrd) error {
		root, err := l.main.unpack(l.ctx, "nfs", "nfs-kernel-server", "nfs-common", "rpcbind")
		if err != nil {
			return err
		}
		for _, p := range []string{"mount.nfs", "rpcbind", "rpc.statd", "sm-notify", "exportfs", "rpc.nfsd", "rpc.mountd", "nfsdcld"} { //nolint:misspell // exportfs
			found, _ := filepath.Glob(filepath.Join(root, "sbin", p))
			more, _ := filepath.Glob(filepath.Join(root, "usr/sbin", p))
			if found = append(found, more...); len(found) == 0 {
				return fmt.Errorf("no %s in the packages", p)
			}
			if err := r.addProgram(root, strings.TrimPrefix(found[0], root+"/")); err != nil {
				return err
			}
		}
		for _, link := range []string{"bin/umount.nfs", "bin/mount.nfs4"} {
			r.link(link, "mount.nfs")
		}
		r.link("sbin", "bin")
		r.link("usr/sbin", "/bin")
		return r.addModules(l.ctx, l.kernel, "nfs", "nfsv3", "nfsv4", "nfsd")
	})
}

// disk makes a disk with a file system, once for each name.
func (l *lab) disk(name, size, mkfs string, args ...string) string {
	path := filepath.Join(l.dir, name+".img")
	if exists(path) {
		return path
	}
	_, err := output(l.ctx, "", "truncate", "-s", size, path)
	check(err, "disk %s", name)
	_, err = output(l.ctx, "", mkfs, append(args, path)...)
	check(err, "disk %s", name)
	return path
}

// wire joins a network card of a guest with one of another. What is sent and
// received has a socket each.
func (l *lab) wire(id, mac, from, to string) []string {
	path := func(name string) string { return filepath.Join(l.dir, "net."+name) }
	return []string{
		"-netdev", fmt.Sprintf("dgram,id=%s,local.type=unix,local.path=%s,remote.type=unix,remote.path=%s", id, path(from), path(to)),
		"-device", fmt.Sprintf("virtio-net-pci,netdev=%s,mac=52:54:00:00:%s", id, mac),
	}
}

// nfsGuest starts the server s, or one of its clients a and b. It gets the disk
// that it had before.
func (l *lab) nfsGuest(name string) *guest {
	if g := l.guests[name]; g != nil {
		return g
	}
	m := machine{
		name: name, initrd: l.nfsInitrd(), modules: []string{"nfs", "nfsv3", "nfsv4"},
		disks: []string{l.disk(name, "64M", "mkfs.ext4", "-q")},
	}
	if name == "s" {
		m.modules = append(m.modules, "nfsd")
		m.args = append(l.wire("na", "01:01", "sa", "a"), l.wire("nb", "01:02", "sb", "b")...)
	} else {
		m.args = l.wire("n", map[string]string{"a": "02:01", "b": "02:02"}[name], name, "s"+name)
	}
	g := l.up(m)
	if name == "s" {
		g.sh("serve; (driver oracle :7000 >/tmp/oracle.log 2>&1 &)")
	} else {
		g.sh("rpcs; mkdir -p /m")
	}
	return g
}

// mounts are the ways in which the clients mount the directory.
var mounts = []struct {
	name, options string
	full          bool // contention takes the whole time
}{
	{"NFSv4.2", "vers=4.2", true},
	{"NFSv4.2 noac", "vers=4.2,noac", false},
	{"NFSv4.1", "vers=4.1", false},
	{"NFSv3", "vers=3", true},
	{"NFSv3 noac", "vers=3,noac", false},
	{"NFSv3 nolock", "vers=3,nolock", false},
}

// remount mounts /srv of s on /m of a client.
func (g *guest) remount(options string) {
	source := "s:/"
	if strings.Contains(options, "vers=3") {
		source = "s:/srv"
	}
	g.sh("umount -f /m 2>/dev/null; mount.nfs " + source + " /m -o " + options + " && ls /m/d >/dev/null")
}

// address is where a client finds the server.
func (g *guest) address() string {
	return map[string]string{"a": "192.0.2.1", "b": "198.51.100.1", "s": "127.0.0.1"}[g.name]
}

// nfsContention lets processes of two machines fight for one directory, while they
// are killed.
func (l *lab) nfsContention() {
	s, a, b := l.nfsGuest("s"), l.nfsGuest("a"), l.nfsGuest("b")
	for _, m := range mounts {
		if l.quick && !m.full {
			continue
		}
		a.remount(m.options)
		b.remount(m.options)
		d := l.torture
		if !m.full {
			d /= 4
		}
		l.contend(m.name, s, []*guest{a, b}, d)
	}
}

func (l *lab) contend(name string, s *guest, clients []*guest, d time.Duration) {
	s.empty()
	s.sh("kill $(pidof driver); (driver oracle :7000 >/tmp/oracle.log 2>&1 &)")
	said := make(chan string)
	for _, g := range clients {
		go func() {
			out, err := g.try(d+2*time.Minute, fmt.Sprintf("driver torture %s %s:7000 %v 3 300ms", dir, g.address(), d))
			said <- fmt.Sprintf("%s: %s %v", g.name, out, err)
		}()
	}
	wrong := 0
	for range clients {
		out := <-said
		l.logf("%s", out)
		wrong += strings.Count(out, " error ") + strings.Count(out, " wrong ")
		if !strings.Contains(out, "kills=") {
			wrong++
		}
	}
	stat := s.sh("driver ask 127.0.0.1:7000 stat; cat /tmp/oracle.log")
	l.report(name+": contention", wrong == 0 && !strings.Contains(stat, "violations") && strings.Contains(stat, "acquired by"),
		"%d errors in %v: %s", wrong, d, stat)
	l.reportFree(name, s, clients)
}

// reportFree looks whether machines that are all there get the directory, and
// what stands in it afterwards.
func (l *lab) reportFree(name string, s *guest, clients []*guest) {
	before := s.sh("ls -A /srv/d | sed 's/-[A-Z0-9]*$//' | sort | uniq -c | tr '\n' ' '")
	ok := false
	saw := ""
	for range clients {
		ok = true
		for _, g := range clients {
			out, err := g.try(time.Minute, "driver try "+dir+" || dirlock status "+dir)
			ok = ok && err == nil && strings.HasPrefix(out, "try true")
			saw += g.name + ": " + out + "; "
		}
	}
	l.report(name+": free again", ok, "%s", saw)
	// What is above a free L0 goes with the next recovery.
	clients[0].hold().kill()
	clients[0].sh("driver try " + dir)
	left := s.names()
	l.report(name+": nothing left", left == "", "before: %s; after: %s", before, left)
}
