package osfs

import (
	"sync/atomic"

	"github.com/dirlock/dirlock/fsys"
)

// abilities are what was found out about a file system.
type abilities struct {
	dev    uint64
	fstype string

	way     atomic.Uint32 // of creating files: the first one that was not found missing
	witness atomic.Uint32 // 1 + what witnesses returns, or 0: not known
	unnamed atomic.Bool   // a file was created without a temporary name
}

func (a *abilities) knownWitness() (kind fsys.Witness, known bool) {
	v := a.witness.Load()
	if v == 0 {
		return fsys.NoWitness, false
	}
	return fsys.Witness(v - 1), true
}

func (a *abilities) setWitness(kind fsys.Witness) { a.witness.Store(uint32(kind) + 1) }

func (a *abilities) forgetWitness() { a.witness.Store(0) }

// lacks remembers that a way, and so each one before it, was found missing.
func (a *abilities) lacks(way uint32) {
	for now := a.way.Load(); now <= way; now = a.way.Load() {
		a.way.CompareAndSwap(now, way+1)
	}
}

// memory has the abilities of the file system on which a directory was last
// found. Nothing else is remembered: a verdict must not rest on what was true
// before.
type memory struct {
	last atomic.Pointer[abilities]

	// What tests have a directory believe.
	assumed struct {
		way     uint32
		witness uint32 // as in abilities
		local   *bool
	}
}

func (m *memory) of(f *facts) *abilities {
	a := m.last.Load()
	if a == nil || a.dev != f.id.dev || a.fstype != f.Type {
		a = &abilities{dev: f.id.dev, fstype: f.Type}
		a.way.Store(m.assumed.way)
		a.witness.Store(m.assumed.witness)
		m.last.Store(a)
	}
	return a
}

// abilities returns what is remembered of the file system of d.
func (d *dir) abilities() (*abilities, error) {
	f, err := d.facts()
	if err != nil {
		return nil, err
	}
	return d.memory.of(f), nil
}
