package lock_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dirlock/dirlock/fsys"
	"github.com/dirlock/dirlock/internal/testutil/step"
	"github.com/dirlock/dirlock/lock"
	"github.com/dirlock/dirlock/proc"
	"github.com/dirlock/dirlock/proc/proctest"
)

// memFS is one directory in memory. The fields are set before it is used.
type memFS struct {
	remote    bool // other machines can reach it
	witness   bool // created files carry a witness
	noIDs     bool // files cannot be told apart
	noReplace bool // files cannot be replaced

	mu    sync.Mutex
	files map[string]*memFile
	last  uint64
	open  int // created files that have not been closed
}

type memFile struct {
	id      uint64
	data    []byte
	special bool // not a regular file
	held    bool
}

func (m *memFS) Dir(string) (fsys.Dir, error) { return memDir{m}, nil }

type memDir struct{ *memFS }

func (m memDir) Path() string                   { return "/mem" }
func (m memDir) Locate() (fsys.Location, error) { return fsys.Location{Local: !m.remote}, nil }

func (m memDir) Witnesses() (fsys.Witness, error) {
	if !m.witness {
		return fsys.NoWitness, nil
	}
	return fsys.Held, nil
}

func (m memDir) Create(name string, data []byte) (fsys.File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.files[name] != nil {
		return nil, &fs.PathError{Op: "create", Path: "/mem/" + name, Err: fs.ErrExist}
	}
	f := m.add(name, data)
	f.held = m.witness
	m.open++
	return &memHandle{m.memFS, f, bytes.Clone(data)}, nil
}

func (m *memFS) add(name string, data []byte) *memFile {
	if m.files == nil {
		m.files = make(map[string]*memFile)
	}
	m.last++
	f := &memFile{id: m.last, data: bytes.Clone(data)}
	m.files[name] = f
	return f
}

func (m memDir) Read(name string) (fsys.Snapshot, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.files[name]
	switch {
	case f == nil:
		return fsys.Snapshot{}, &fs.PathError{Op: "read", Path: "/mem/" + name, Err: fs.ErrNotExist}
	case f.special:
		return fsys.Snapshot{}, &fs.PathError{Op: "read", Path: "/mem/" + name, Err: fsys.ErrNotRegular}
	}
	s := fsys.Snapshot{Data: bytes.Clone(f.data)}
	if !m.noIDs {
		s.ID = fsys.ID{f.id}
	}
	switch {
	case f.held:
		s.Witness = fsys.Held
	case m.witness:
		s.Witness = fsys.Free
	}
	return s, nil
}

func (m memDir) Replace(oldname, newname string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.files[oldname]
	switch {
	case m.noReplace:
		return &fs.PathError{Op: "replace", Path: "/mem/" + newname, Err: errors.ErrUnsupported}
	case f == nil:
		return &fs.PathError{Op: "replace", Path: "/mem/" + newname, Err: fs.ErrNotExist}
	}
	delete(m.files, oldname)
	m.files[newname] = f
	return nil
}

func (m memDir) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.files[name] == nil {
		return &fs.PathError{Op: "remove", Path: "/mem/" + name, Err: fs.ErrNotExist}
	}
	delete(m.files, name)
	return nil
}

func (m memDir) List(prefix string) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var names []string
	for name := range m.files {
		if strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	return names, nil
}

type memHandle struct {
	m    *memFS
	f    *memFile
	data []byte
}

func (h *memHandle) Intact(name string) (bool, error) {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	return h.m.files[name] == h.f && bytes.Equal(h.f.data, h.data), nil
}

func (h *memHandle) Close() error {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	h.f.held = false
	h.m.open--
	return nil
}

// put puts a file there, as any program could.
func (m *memFS) put(name string, data string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.add(name, []byte(data))
}

// putSpecial puts something there that is not a regular file.
func (m *memFS) putSpecial(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.add(name, nil).special = true
}

// putHeld puts a file there that somebody holds.
func (m *memFS) putHeld(name string, data string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.add(name, []byte(data)).held = true
}

// rm removes a file that may be there.
func (m *memFS) rm(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.files, name)
}

// names returns the names of all files, sorted.
func (m *memFS) names() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.files))
}

// snapshot returns what is in the directory: for each name which file, and what
// is in it.
func (m *memFS) snapshot() map[string]string {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := make(map[string]string)
	for name, f := range m.files {
		s[name] = fmt.Sprintf("%d %q", f.id, f.data)
	}
	return s
}

// world is a directory and a machine with processes, all in memory.
type world struct {
	memFS
	procs *proctest.Fake
	dead  *proctest.FakeProcess // who made the stale files
	live  *proctest.FakeProcess // who made the held ones
	ids   int

	ops    []string            // the operations so far of all handles, in order
	before func(step.Op) error // called ahead of each
	probed func(proc.Identity) // called after the record was read, before each answer on a process
	pauses []time.Duration     // what the handles waited
	paused func()              // called instead of waiting
	inside bool                // in before or probed: handles used there run undisturbed
}

func newWorld() *world {
	w := &world{procs: proctest.NewFake()}
	w.live = w.procs.Start("live")
	w.dead = w.procs.Start("dead")
	w.dead.Kill()
	return w
}

// handle returns a handle of a new process.
func (w *world) handle(opts ...lock.Option) (*lock.DirLock, *proctest.FakeProcess) {
	p := w.procs.Start("tester")
	return w.handleOf(p, opts...), p
}

// handleOf returns another handle of a process.
func (w *world) handleOf(p *proctest.FakeProcess, opts ...lock.Option) *lock.DirLock {
	all := append([]lock.Option{
		lock.WithFS(step.FS(&w.memFS, w.step)),
		lock.WithProcesses(probing{p, w}),
	}, opts...)
	l := lock.New("dir", all...)
	lock.SetPause(l, func(ctx context.Context, d time.Duration, _, _ <-chan struct{}) error {
		w.pauses = append(w.pauses, d)
		if w.paused != nil {
			w.paused()
		}
		return ctx.Err()
	})
	return l
}

func (w *world) step(op step.Op) error {
	if w.inside {
		return nil
	}
	w.ops = append(w.ops, op.String())
	if w.before == nil {
		return nil
	}
	w.inside = true
	defer func() { w.inside = false }()
	return w.before(op)
}

// probing is a process table that lets things happen just before each answer.
type probing struct {
	proc.Table
	w *world
}

func (p probing) Probe(id proc.Identity) (proc.State, string) {
	if p.w.probed != nil && !p.w.inside {
		p.w.inside = true
		p.w.probed(id)
		p.w.inside = false
	}
	return p.Table.Probe(id)
}

// record returns a new record of a process.
func (w *world) record(p proc.Table) string {
	id, err := p.Self()
	if err != nil {
		panic(err)
	}
	w.ids++
	return string(lock.AppendRecord(nil, lock.Owner{
		ID:       fmt.Sprintf("%032x", w.ids),
		Identity: id,
		Since:    time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
		Witness:  w.witness,
		Local:    !w.remote,
	}))
}

// A situation is a letter per level, L0 first.
const (
	free    = '-'
	held    = 'h'
	stale   = 's'
	torn    = 't'
	foreign = 'f'
)

// set makes a situation.
func (w *world) set(levels string) {
	for i, c := range levels {
		name := fmt.Sprintf("L%d", i)
		switch c {
		case free:
			w.rm(name)
		case held:
			w.put(name, w.record(w.live))
		case stale:
			w.put(name, w.record(w.dead))
		case torn:
			w.put(name, "dirlock 1\npid")
		case foreign:
			w.put(name, "hello")
		default:
			panic(levels)
		}
	}
}

func mustTry(t *testing.T, l *lock.DirLock, want bool) {
	t.Helper()
	ok, err := l.TryLock()
	require.NoError(t, err)
	require.Equal(t, want, ok)
}

var errInjected = errors.New("injected")
