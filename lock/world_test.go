package lock_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dirlock/dirlock/fsys"
	"github.com/dirlock/dirlock/fsys/memfs"
	"github.com/dirlock/dirlock/lock"
	"github.com/dirlock/dirlock/proc"
	"github.com/dirlock/dirlock/proc/proctest"
)

// world is a disk and a machine with processes, all in memory, and notes what
// handles do there. Unless options say otherwise files have no witness.
type world struct {
	*memfs.Disk
	procs *proctest.Fake
	dead  *proctest.FakeProcess // made the stale files
	live  *proctest.FakeProcess // made the held ones
	ids   int

	ops    []string             // the operations so far of all handles, in order
	before func(memfs.Op) error // called ahead of each
	probed func(proc.Identity)  // called after the record was read, before each answer on a process
	pauses []time.Duration      // of the handles
	paused func()               // called instead of waiting
	inside bool                 // in before or probed: handles used there run undisturbed
}

func newWorld(options ...memfs.Option) *world {
	options = append([]memfs.Option{memfs.Witness(fsys.NoWitness)}, options...)
	w := &world{Disk: memfs.New(dirPath, options...), procs: proctest.NewFake()}
	w.live = w.procs.Start("live")
	w.dead = w.procs.Start("dead")
	w.dead.Kill()
	w.Before(w.step)
	return w
}

// handle returns a handle of a new process.
func (w *world) handle(opts ...lock.Option) (*lock.DirLock, *proctest.FakeProcess) {
	p := w.procs.Start("tester")
	return w.handleOf(p, opts...), p
}

// handleOf returns another handle of a process.
func (w *world) handleOf(p *proctest.FakeProcess, opts ...lock.Option) *lock.DirLock {
	l := w.lock(probing{p, w}, append([]lock.Option{lock.WithFS(w.As(p))}, opts...)...)
	lock.SetPause(l, func(ctx context.Context, d time.Duration, _, _ <-chan struct{}) error {
		w.pauses = append(w.pauses, d)
		if w.paused != nil {
			w.paused()
		}
		return ctx.Err()
	})
	return l
}

// lock returns a handle with a process table of any kind.
func (w *world) lock(table proc.Table, opts ...lock.Option) *lock.DirLock {
	return lock.New(dirPath, append([]lock.Option{lock.WithFS(w), lock.WithProcesses(table)}, opts...)...)
}

func (w *world) step(op memfs.Op) error {
	if w.inside || op.Name == "witness" { // which comes with every read
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
	if p.w.inside {
		return p.Table.Probe(id)
	}
	p.w.ops = append(p.w.ops, "probe "+id.Command)
	if p.w.probed != nil {
		p.w.inside = true
		p.w.probed(id)
		p.w.inside = false
	}
	return p.Table.Probe(id)
}

// put puts a file there, as any program could.
func (w *world) put(name, data string) { w.Put(at(name), []byte(data)) }

// rm removes a file that may be there.
func (w *world) rm(name string) { w.Remove(at(name)) }

// data returns what is in a file.
func (w *world) data(name string) string { return w.Entries(dirPath)[name].Data }

// again puts another file with the same data in a file's place.
func (w *world) again(name string) { w.put(name, w.data(name)) }

func (w *world) names() []string { return w.Names(dirPath) }

// files returns what is in the directory: which file has each name, and what is
// in it.
func (w *world) files() map[string]memfs.Entry { return w.Entries(dirPath) }

// record returns a new record of a process, as it would make it in this
// directory.
func (w *world) record(p proc.Table) string {
	d, _ := w.Dir(dirPath)
	w.inside = true
	id, err := p.Self()
	loc, err2 := fsys.Locate(d)
	kind, err3 := fsys.Witnesses(d)
	w.inside = false
	if err := errors.Join(err, err2, err3); err != nil {
		panic(err)
	}
	w.ids++
	return string(lock.AppendRecord(nil, lock.Owner{
		ID:       fmt.Sprintf("%032x", w.ids),
		Identity: id,
		Since:    time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
		Witness:  kind != fsys.NoWitness, WriteLock: kind == fsys.Held,
		Local: loc.Local, Type: loc.Type, Mount: loc.Mount, Direct: loc.Direct,
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
			data := w.record(w.live)
			w.put(name, data)
			if o, _ := lock.ParseRecord([]byte(data)); o.WriteLock {
				w.Lock(at(name), fsys.Held)
			}
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

// ahead calls f ahead of the n-th operation of that name, n from 1.
func ahead(name string, n int, f func()) func(memfs.Op) error {
	return func(op memfs.Op) error {
		if op.String() == name {
			if n--; n == 0 {
				f()
			}
		}
		return nil
	}
}
