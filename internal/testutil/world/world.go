// Package world is an invented machine for tests: one directory, as strict as
// POSIX is, and the processes that use it. Everything is deterministic, and a
// test can look at every operation before it takes effect, make it fail, or
// kill the process at that very point.
//
//	w := world.New()
//	a, b := w.Start("a"), w.Start("b")
//	l := lock.New(world.Path, lock.WithFS(a), lock.WithProcesses(a.Table()))
//	w.Before = func(p *world.Process, op, name string) error {
//		if op == "replace" {
//			return syscall.EIO
//		}
//		return nil
//	}
package world

import (
	"bytes"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/dirlock/dirlock/fsys"
	"github.com/dirlock/dirlock/proc/proctest"
)

// Path is the path of the only directory.
const Path = "/dir"

// World is a directory, and the processes around it. The exported fields are
// set before the first operation.
type World struct {
	// Network: other machines can reach the directory.
	Network bool
	// NoWitness: the file system has no locks that would vouch for an owner.
	NoWitness bool
	// Before is called before every operation takes effect, with the
	// operation's name in lower case ("create", "read", "replace", "remove",
	// "list", "intact", "close") and the file's. If it returns an error, the
	// operation fails with it and changes nothing. It may change the world,
	// but must not be what calls the operation.
	Before func(p *Process, op, name string) error

	// Procs is the machine's own PID namespace.
	Procs *proctest.Fake

	mu    sync.Mutex
	files map[string]*file
	last  uint64
}

type file struct {
	id     uint64
	data   []byte
	holder *Process // has it open
}

// New returns an empty local directory on a machine without processes, whose
// kernel vouches for owners.
func New() *World { return &World{Procs: proctest.NewFake(), files: map[string]*file{}} }

// Process is a process. It is the file system that its code sees; see
// [Process.Table] for the rest.
type Process struct {
	w      *World
	p      *proctest.FakeProcess
	killed bool
}

// Start starts a process on the machine.
func (w *World) Start(command string) *Process { return w.Add(w.Procs.Start(command)) }

// Add adds a process of any machine or namespace.
func (w *World) Add(p *proctest.FakeProcess) *Process { return &Process{w: w, p: p} }

// Table returns the process table that the process sees.
func (p *Process) Table() *proctest.FakeProcess { return p.p }

func (p *Process) boot() string {
	id, _ := p.p.Self()
	return id.Boot
}

// Kill ends the process: the kernel vouches for it no more. Code that runs in
// it is not stopped.
func (p *Process) Kill() {
	p.p.Kill()
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	p.killed = true
}

// Put makes a file, or another one of the same name, which nobody has open.
func (w *World) Put(name string, data []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.files[name] = &file{id: w.nextID(), data: slices.Clone(data)}
}

// Delete removes a file, if there is one.
func (w *World) Delete(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.files, name)
}

// Files returns what is in the directory.
func (w *World) Files() map[string][]byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	m := map[string][]byte{}
	for name, f := range w.files {
		m[name] = slices.Clone(f.data)
	}
	return m
}

func (w *World) nextID() uint64 { w.last++; return w.last }

// Dir returns the directory, and fs.ErrNotExist for any other name.
func (p *Process) Dir(name string) (fsys.Dir, error) {
	if path.Clean(name) != Path {
		return nil, &fs.PathError{Op: "dir", Path: name, Err: fs.ErrNotExist}
	}
	return &Dir{p}, nil
}

// Dir is the directory as one process sees it.
type Dir struct{ p *Process }

var (
	_ fsys.Witnesser = (*Dir)(nil)
	_ fsys.Localizer = (*Dir)(nil)
)

// Path returns [Path].
func (d *Dir) Path() string { return Path }

// Witnesses reports whether the world has witnesses.
func (d *Dir) Witnesses() (fsys.Witness, error) {
	if d.p.w.NoWitness {
		return fsys.NoWitness, nil
	}
	return fsys.Held, nil
}

// Locate reports whether only this machine can reach the directory.
func (d *Dir) Locate() (fsys.Location, error) { return fsys.Location{Local: !d.p.w.Network}, nil }

// begin starts an operation; unless there is an error, the caller unlocks.
func (d *Dir) begin(op, name string) error {
	if strings.Contains(name, "/") || name == "" {
		return &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	if before := d.p.w.Before; before != nil {
		if err := before(d.p, op, name); err != nil {
			return fail(op, name, err)
		}
	}
	d.p.w.mu.Lock()
	return nil
}

func fail(op, name string, err error) error {
	return &fs.PathError{Op: op, Path: path.Join(Path, name), Err: err}
}

// Create implements [fsys.Dir].
func (d *Dir) Create(name string, data []byte) (fsys.File, error) {
	if err := d.begin("create", name); err != nil {
		return nil, err
	}
	w := d.p.w
	defer w.mu.Unlock()
	if len(data) > fsys.MaxData {
		return nil, fail("create", name, errors.New("too much data"))
	}
	if w.files[name] != nil {
		return nil, fail("create", name, fs.ErrExist)
	}
	f := &file{id: w.nextID(), data: slices.Clone(data), holder: d.p}
	w.files[name] = f
	return &openFile{d, f, f.data}, nil
}

// Read implements [fsys.Dir]. Reading and asking for the witness are one step.
func (d *Dir) Read(name string) (fsys.Snapshot, error) {
	s, witness, err := d.Peek(name)
	if err == nil {
		s.Witness = witness()
	}
	return s, err
}

// Peek is Read in two steps, as the kernel has it: it reads the file, and
// returns a function that asks for the witness of that very file, wherever it
// is by then.
func (d *Dir) Peek(name string) (fsys.Snapshot, func() fsys.Witness, error) {
	if err := d.begin("read", name); err != nil {
		return fsys.Snapshot{}, nil, err
	}
	w := d.p.w
	defer w.mu.Unlock()
	f := w.files[name]
	if f == nil {
		return fsys.Snapshot{}, nil, fail("read", name, fs.ErrNotExist)
	}
	return fsys.Snapshot{Data: slices.Clone(f.data), ID: fsys.ID{1, f.id, 1}}, func() fsys.Witness {
		w.mu.Lock()
		defer w.mu.Unlock()
		switch {
		case w.NoWitness:
			return fsys.NoWitness
		case f.holder != nil && !f.holder.killed && f.holder.boot() == d.p.boot():
			return fsys.Held
		}
		return fsys.Free
	}, nil
}

// Replace implements [fsys.Dir].
func (d *Dir) Replace(oldname, newname string) error {
	if err := d.begin("replace", oldname); err != nil {
		return err
	}
	w := d.p.w
	defer w.mu.Unlock()
	f := w.files[oldname]
	if f == nil {
		return fail("replace", oldname, fs.ErrNotExist)
	}
	delete(w.files, oldname)
	w.files[newname] = f
	return nil
}

// Remove implements [fsys.Dir].
func (d *Dir) Remove(name string) error {
	if err := d.begin("remove", name); err != nil {
		return err
	}
	w := d.p.w
	defer w.mu.Unlock()
	if w.files[name] == nil {
		return fail("remove", name, fs.ErrNotExist)
	}
	delete(w.files, name)
	return nil
}

// List implements [fsys.Dir].
func (d *Dir) List(prefix string) ([]string, error) {
	if err := d.begin("list", prefix); err != nil {
		return nil, err
	}
	w := d.p.w
	defer w.mu.Unlock()
	var names []string
	for name := range w.files {
		if strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

type openFile struct {
	d    *Dir
	f    *file
	data []byte
}

// Intact implements [fsys.File].
func (o *openFile) Intact(name string) (bool, error) {
	if err := o.d.begin("intact", name); err != nil {
		return false, err
	}
	defer o.d.p.w.mu.Unlock()
	return o.d.p.w.files[name] == o.f && bytes.Equal(o.f.data, o.data), nil
}

// Close implements [fsys.File].
func (o *openFile) Close() error {
	if err := o.d.begin("close", "file"); err != nil {
		return err
	}
	defer o.d.p.w.mu.Unlock()
	o.f.holder = nil
	return nil
}
