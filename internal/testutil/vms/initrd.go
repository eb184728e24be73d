package main

import (
	"bufio"
	"bytes"
	"context"
	"debug/elf"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

//go:embed guest/init
var initScript string

//go:embed guest/rpcs
var rpcsScript string

//go:embed guest/serve
var serveScript string

// initrd is what a guest starts from: all of it is in memory.
type initrd struct {
	files map[string]file
}

type file struct {
	mode fs.FileMode
	data []byte // of a link: where to
}

func (r *initrd) add(path string, mode fs.FileMode, data []byte) {
	r.files[path] = file{mode, data}
}

func (r *initrd) text(path, data string) { r.add(path, 0o644, []byte(data)) }

func (r *initrd) link(path, to string) { r.add(path, fs.ModeSymlink|0o777, []byte(to)) }

func (r *initrd) copy(path, from string) error {
	data, err := os.ReadFile(from)
	if err == nil {
		r.add(path, 0o755, data)
	}
	return err
}

// newInitrd makes what every guest has.
func newInitrd(busybox string) (*initrd, error) {
	r := &initrd{map[string]file{}}
	if err := r.copy("bin/busybox", busybox); err != nil {
		return nil, err
	}
	r.add("init", 0o755, []byte(initScript))
	r.add("bin/serve", 0o755, []byte(serveScript))
	r.add("bin/rpcs", 0o755, []byte(rpcsScript))
	for _, d := range []string{
		"dev", "proc", "sys", "run", "tmp", "mnt", "srv", "etc/init.d", "modules", "lib64",
		"var/lib/nfs/sm", "var/lib/nfs/sm.bak", "var/lib/nfs/v4recovery", "var/lib/nfs/rpc_pipefs", "var/lib/nfs/statd",
	} {
		r.add(d, fs.ModeDir|0o755, nil)
	}
	r.link("var/run", "/run")
	r.text("etc/passwd", "root:x:0:0:root:/:/bin/sh\nstatd:x:100:65534::/var/lib/nfs:/bin/sh\n_rpc:x:101:65534::/run/rpcbind:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n")
	r.text("etc/group", "root:x:0:\nnogroup:x:65534:\n")
	r.text("etc/protocols", "tcp 6 TCP\nudp 17 UDP\n")
	r.text("etc/services", "sunrpc 111/tcp portmapper rpcbind\nsunrpc 111/udp portmapper rpcbind\nnfs 2049/tcp\nnfs 2049/udp\n")
	r.text("etc/rpc", "portmapper 100000\nnfs 100003\nmountd 100005\nnlockmgr 100021\nstatus 100024\n")
	r.text("etc/netconfig", "udp tpi_clts v inet udp - -\ntcp tpi_cots_ord v inet tcp - -\nlocal tpi_cots_ord - loopback - - -\n")
	r.text("etc/hosts", "127.0.0.1 localhost\n192.0.2.1 s\n198.51.100.1 s\n192.0.2.2 a\n198.51.100.2 b\n")
	r.text("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\nservices: files\nprotocols: files\nrpc: files\nnetgroup: files\n")
	return r, nil
}

// addModules adds modules, and for each of the names the list of what is to be
// loaded for it.
func (r *initrd) addModules(ctx context.Context, k *kernel, names ...string) error {
	for _, name := range names {
		all, err := k.withDependencies(ctx, name)
		if err != nil {
			return err
		}
		r.text("modules/"+name+".list", strings.Join(all, "\n")+"\n")
		for _, m := range all {
			if _, ok := r.files["modules/"+m]; ok {
				continue
			}
			data, err := k.module(ctx, m)
			if err != nil {
				return err
			}
			r.add("modules/"+m, 0o644, data)
		}
	}
	return nil
}

// addProgram adds a program of an unpacked package, and the libraries that it
// needs.
func (r *initrd) addProgram(root, path string) error {
	from := filepath.Join(root, path)
	if err := r.copy("bin/"+filepath.Base(path), from); err != nil {
		return err
	}
	return r.addLibraries(root, from)
}

// addLibraries adds what a program or library needs.
func (r *initrd) addLibraries(root, path string) error {
	f, err := elf.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	for _, p := range f.Progs {
		if p.Type != elf.PT_INTERP {
			continue
		}
		name := make([]byte, p.Filesz-1)
		if _, err := p.ReadAt(name, 0); err != nil {
			return err
		}
		to := strings.TrimPrefix(string(name), "/")
		if err := r.library(root, to, filepath.Base(to)); err != nil {
			return err
		}
	}
	libs, err := f.ImportedLibraries()
	if err != nil {
		return err
	}
	for _, lib := range libs {
		if err := r.library(root, "lib/"+lib, lib); err != nil {
			return err
		}
	}
	return nil
}

func (r *initrd) library(root, to, name string) error {
	if _, ok := r.files[to]; ok {
		return nil
	}
	for _, pattern := range []string{"lib/*/", "usr/lib/*/", "lib/", "usr/lib/", "lib64/", "usr/lib/*/*/"} {
		found, _ := filepath.Glob(filepath.Join(root, pattern+name))
		for _, path := range found {
			if real, err := filepath.EvalSymlinks(path); err == nil && strings.HasPrefix(real, root) {
				if err := r.copy(to, real); err != nil {
					return err
				}
				return r.addLibraries(root, real)
			}
		}
	}
	return fmt.Errorf("%s: no such library in the packages", name)
}

// write writes the archive that the kernel unpacks (the form "newc" of cpio).
func (r *initrd) write(path string) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	defer func() { err = errors.Join(err, w.Flush(), f.Close()) }()
	made := map[string]bool{".": true}
	n := 0
	for _, name := range slices.Sorted(maps.Keys(r.files)) {
		for _, dir := range parents(name) {
			if !made[dir] {
				made[dir] = true
				n++
				writeEntry(w, n, dir, file{fs.ModeDir | 0o755, nil})
			}
		}
		if f := r.files[name]; !f.mode.IsDir() {
			n++
			writeEntry(w, n, name, f)
		} else if !made[name] {
			made[name] = true
			n++
			writeEntry(w, n, name, f)
		}
	}
	writeEntry(w, 0, "TRAILER!!!", file{})
	return nil
}

// parents returns the directories above a path, the uppermost first.
func parents(path string) (dirs []string) {
	for dir := filepath.Dir(path); dir != "."; dir = filepath.Dir(dir) {
		dirs = append(dirs, dir)
	}
	slices.Reverse(dirs)
	return dirs
}

func writeEntry(w *bufio.Writer, n int, name string, f file) {
	mode := uint32(f.mode.Perm())
	switch f.mode.Type() {
	case fs.ModeDir:
		mode |= 0o040000
	case fs.ModeSymlink:
		mode |= 0o120000
	default:
		mode |= 0o100000
	}
	_, _ = fmt.Fprintf(w, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
		n, mode, 0, 0, 1, 0, len(f.data), 0, 0, 0, 0, len(name)+1, 0)
	_, _ = w.WriteString(name + "\x00")
	pad(w, 110+len(name)+1)
	_, _ = w.Write(f.data)
	pad(w, len(f.data))
}

func pad(w *bufio.Writer, n int) { _, _ = w.Write(bytes.Repeat([]byte{0}, -n&3)) }
