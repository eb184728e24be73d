package lock_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/mock/gomock"

	"github.com/dirlock/dirlock/fsys"
	"github.com/dirlock/dirlock/lock"
	"github.com/dirlock/dirlock/mocks/gomocks"
	"github.com/dirlock/dirlock/proc"
)

// script is what a lock must do, call by call: no call more, none less, and none
// in another order.
type script struct {
	dir   *gomocks.MockLocalizer
	table *gomocks.MockTable
	ctrl  *gomock.Controller
	files map[string]*gomocks.MockFile
	calls []any
	ids   int
}

func (s *script) add(c *gomock.Call) { s.calls = append(s.calls, c) }

func pathError(op, name string, err error) error {
	return &fs.PathError{Op: op, Path: "/dir/" + name, Err: err}
}

// gone: somebody looks, and there is no such file.
func (s *script) gone(name string) {
	s.add(s.dir.EXPECT().Read(name).Return(fsys.Snapshot{}, pathError("read", name, fs.ErrNotExist)).Call)
}

// read: somebody looks, and finds this.
func (s *script) read(name string, data []byte) {
	s.readFile(name, data, 7)
}

func (s *script) readFile(name string, data []byte, id uint64) {
	s.add(s.dir.EXPECT().Read(name).Return(fsys.Snapshot{Data: data, ID: fsys.ID{id}}, nil).Call)
}

// judge: somebody looks, finds this, and asks whether the owner lives.
func (s *script) judge(name string, data []byte, state proc.State) {
	s.read(name, data)
	o, err := lock.ParseRecord(data)
	if err != nil {
		panic(err)
	}
	s.add(s.table.EXPECT().Probe(o.Identity).Return(state, "as the script says").Call)
}

// taken: the level cannot be created.
func (s *script) taken(name string) {
	s.add(s.dir.EXPECT().Create(name, gomock.Any()).Return(nil, pathError("create", name, fs.ErrExist)).Call)
}

// busy: nor can it here, because somebody is just about to.
func (s *script) busy(name string) {
	s.add(s.dir.EXPECT().Create(name, gomock.Any()).Return(nil, pathError("create", name, fsys.ErrBusy)).Call)
}

// create: the level is ours.
func (s *script) create(name string) *gomocks.MockFile {
	f := gomocks.NewMockFile(s.ctrl)
	s.files[name] = f
	s.add(s.dir.EXPECT().Create(name, gomock.Any()).DoAndReturn(func(_ string, data []byte) (fsys.File, error) {
		o, err := lock.ParseRecord(data)
		if err != nil || o.PID != someOwner.PID {
			return nil, fmt.Errorf("created with %q", data)
		}
		return f, nil
	}).Call)
	return f
}

// withdraw: our level is looked at, removed and closed.
func (s *script) withdraw(name string) {
	f := s.files[name]
	s.add(f.EXPECT().Intact(name).Return(true, nil).Call)
	s.add(s.dir.EXPECT().Remove(name).Return(nil).Call)
	s.add(f.EXPECT().Close().Return(nil).Call)
}

func (s *script) replace(name string, err error) {
	s.add(s.dir.EXPECT().Replace(name, "L0").Return(err).Call)
}

func (s *script) remove(name string) {
	s.add(s.dir.EXPECT().Remove(name).Return(nil).Call)
}

// record returns the record of another process.
func (s *script) record() []byte {
	s.ids++
	o := someOwner
	o.PID = 1000 + s.ids
	o.ID = fmt.Sprintf("%032x", s.ids)
	return lock.AppendRecord(nil, o)
}

// The protocol of docs/protocol.md as sequences of calls.
func TestScripts(t *testing.T) {
	torn := []byte("dirlock 1\n")
	tests := []struct {
		name     string
		attempts int // at most; 1 if not given
		gap      int // that ends the search for levels; 1 if not given
		script   func(s *script)
		ok       bool
		err      error
	}{
		{name: "free", ok: true, script: func(s *script) {
			s.gone("L0")
			s.create("L0")
		}},
		{name: "held", attempts: 3, script: func(s *script) {
			s.judge("L0", s.record(), alive)
		}},
		{name: "not known", attempts: 3, script: func(s *script) {
			s.judge("L0", s.record(), unknown)
		}},
		{name: "taken just now", attempts: 3, script: func(s *script) {
			s.gone("L0")
			s.taken("L0")
			s.judge("L0", s.record(), alive)
		}},
		{name: "taken just now, and gone", attempts: 3, script: func(s *script) {
			s.gone("L0")
			s.taken("L0")
			s.gone("L0")
		}},
		{name: "taken just now, and dead", ok: true, script: func(s *script) {
			m := s.record()
			s.gone("L0")
			s.taken("L0")
			s.judge("L0", m, dead)
			s.create("L1")
			s.read("L0", m)
			s.replace("L1", nil)
			s.gone("L1")
		}},
		{name: "busy", attempts: 3, script: func(s *script) {
			s.gone("L0")
			s.busy("L0")
			s.gone("L0")
		}},
		{name: "stale", ok: true, script: func(s *script) {
			m := s.record()
			s.judge("L0", m, dead)
			s.create("L1")
			s.read("L0", m)
			s.replace("L1", nil)
			s.gone("L1")
		}},
		{name: "torn", ok: true, script: func(s *script) {
			s.read("L0", torn)
			s.create("L1")
			s.read("L0", torn)
			s.replace("L1", nil)
			s.gone("L1")
		}},
		{name: "torn, and another torn file at the last look", script: func(s *script) {
			s.read("L0", torn)
			s.create("L1")
			s.readFile("L0", torn, 8)
			s.withdraw("L1")
		}},
		{name: "stale, and gone at the last look", ok: true, attempts: 2, script: func(s *script) {
			s.judge("L0", s.record(), dead)
			s.create("L1")
			s.gone("L0")
			s.withdraw("L1")
			s.gone("L0")
			s.create("L0")
		}},
		{name: "stale, and recovered at the last look", attempts: 2, script: func(s *script) {
			other := s.record()
			s.judge("L0", s.record(), dead)
			s.create("L1")
			s.read("L0", other)
			s.withdraw("L1")
			s.judge("L0", other, alive)
		}},
		{name: "somebody recovers", attempts: 2, script: func(s *script) {
			m, r := s.record(), s.record()
			for range 2 {
				s.judge("L0", m, dead)
				s.taken("L1")
				s.judge("L1", r, alive)
			}
		}},
		{name: "nobody knows whether somebody recovers", script: func(s *script) {
			s.judge("L0", s.record(), dead)
			s.taken("L1")
			s.judge("L1", s.record(), unknown)
		}},
		{name: "somebody has just stepped back", ok: true, attempts: 2, script: func(s *script) {
			m := s.record()
			s.judge("L0", m, dead)
			s.taken("L1")
			s.gone("L1")
			s.judge("L0", m, dead)
			s.create("L1")
			s.read("L0", m)
			s.replace("L1", nil)
			s.gone("L1")
		}},
		{name: "a recovery died", ok: true, script: func(s *script) {
			m, r := s.record(), s.record()
			s.judge("L0", m, dead)
			s.taken("L1")
			s.judge("L1", r, dead)
			s.read("L1", r)
			s.gone("L2")
			s.create("L2")
			s.read("L0", m)
			s.replace("L2", nil)
			s.gone("L2")
			s.read("L1", r)
			s.remove("L1")
		}},
		{name: "a torn level", ok: true, script: func(s *script) {
			m := s.record()
			s.judge("L0", m, dead)
			s.taken("L1")
			s.read("L1", torn)
			s.read("L1", torn)
			s.gone("L2")
			s.create("L2")
			s.read("L0", m)
			s.replace("L2", nil)
			s.gone("L2")
			s.read("L1", torn)
			s.remove("L1")
		}},
		{name: "a torn level that another one has replaced", script: func(s *script) {
			s.judge("L0", s.record(), dead)
			s.taken("L1")
			s.read("L1", torn)
			s.readFile("L1", torn, 8)
		}},
		{name: "a level is gone at the second look", script: func(s *script) {
			s.judge("L0", s.record(), dead)
			s.taken("L1")
			s.judge("L1", s.record(), dead)
			s.gone("L1")
		}},
		{name: "a level is another's at the second look", script: func(s *script) {
			s.judge("L0", s.record(), dead)
			s.taken("L1")
			s.judge("L1", s.record(), dead)
			s.read("L1", s.record())
		}},
		{name: "three recoveries died, and one went higher", ok: true, gap: 2, script: func(s *script) {
			m, r1, r2, r5 := s.record(), s.record(), s.record(), s.record()
			s.judge("L0", m, dead)
			s.taken("L1")
			s.judge("L1", r1, dead)
			s.read("L1", r1)
			s.judge("L2", r2, dead)
			s.read("L2", r2)
			s.gone("L3")
			s.create("L3")
			s.read("L0", m)
			s.replace("L3", nil)
			s.gone("L3")
			s.judge("L4", r5, dead)
			s.judge("L5", s.record(), alive)
			s.gone("L6")
			s.gone("L7")
			s.read("L4", r5)
			s.remove("L4")
			s.read("L2", r2)
			s.remove("L2")
			s.read("L1", r1)
			s.remove("L1")
		}},
		{name: "a level is taken again when its place is created", ok: true, attempts: 2, script: func(s *script) {
			m, r1 := s.record(), s.record()
			s.judge("L0", m, dead)
			s.taken("L1")
			s.judge("L1", r1, dead)
			s.read("L1", r1)
			s.gone("L2")
			s.taken("L2")
			s.gone("L2")
			s.gone("L0")
			s.create("L0")
		}},
		{name: "the replacement fails", attempts: 3, err: errInjected, script: func(s *script) {
			m := s.record()
			s.judge("L0", m, dead)
			f := s.create("L1")
			s.read("L0", m)
			s.replace("L1", errInjected)
			s.add(f.EXPECT().Intact("L1").Return(true, nil).Call)
			s.add(s.dir.EXPECT().Remove("L1").Return(nil).Call)
			s.add(f.EXPECT().Intact("L0").Return(false, nil).Call)
			s.add(f.EXPECT().Close().Return(nil).Call)
		}},
		{name: "the creation fails", attempts: 3, err: errInjected, script: func(s *script) {
			s.gone("L0")
			s.add(s.dir.EXPECT().Create("L0", gomock.Any()).Return(nil, errInjected).Call)
		}},
		{name: "the creation of a level fails", attempts: 3, err: errInjected, script: func(s *script) {
			s.judge("L0", s.record(), dead)
			s.add(s.dir.EXPECT().Create("L1", gomock.Any()).Return(nil, errInjected).Call)
		}},
		{name: "the look fails", attempts: 3, err: errInjected, script: func(s *script) {
			s.add(s.dir.EXPECT().Read("L0").Return(fsys.Snapshot{}, errInjected).Call)
		}},
		{name: "the look at a level fails", attempts: 3, err: errInjected, script: func(s *script) {
			s.judge("L0", s.record(), dead)
			s.taken("L1")
			s.add(s.dir.EXPECT().Read("L1").Return(fsys.Snapshot{}, errInjected).Call)
		}},
		{name: "the second look fails", attempts: 3, err: errInjected, script: func(s *script) {
			s.judge("L0", s.record(), dead)
			s.taken("L1")
			s.judge("L1", s.record(), dead)
			s.add(s.dir.EXPECT().Read("L1").Return(fsys.Snapshot{}, errInjected).Call)
		}},
		{name: "the last look fails", attempts: 3, err: errInjected, script: func(s *script) {
			s.judge("L0", s.record(), dead)
			s.create("L1")
			s.add(s.dir.EXPECT().Read("L0").Return(fsys.Snapshot{}, errInjected).Call)
			s.withdraw("L1")
		}},
		{name: "foreign", attempts: 3, err: lock.ErrNotRecord, script: func(s *script) {
			s.read("L0", []byte("hello"))
		}},
		{name: "a foreign level", attempts: 3, err: lock.ErrNotRecord, script: func(s *script) {
			s.judge("L0", s.record(), dead)
			s.taken("L1")
			s.read("L1", []byte("hello"))
		}},
		{name: "the sweep fails", ok: true, script: func(s *script) {
			m := s.record()
			s.judge("L0", m, dead)
			s.create("L1")
			s.read("L0", m)
			s.replace("L1", nil)
			s.add(s.dir.EXPECT().Read("L1").Return(fsys.Snapshot{}, errInjected).Call)
			s.gone("L2")
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			ctrl := gomock.NewController(t)
			s := &script{
				dir:   gomocks.NewMockLocalizer(ctrl),
				table: gomocks.NewMockTable(ctrl),
				ctrl:  ctrl,
				files: map[string]*gomocks.MockFile{},
			}
			s.dir.EXPECT().Path().Return("/dir").AnyTimes()
			s.dir.EXPECT().Locate().Return(fsys.Location{Local: true}, nil).AnyTimes()
			s.table.EXPECT().Self().Return(someOwner.Identity, nil).AnyTimes()
			f := gomocks.NewMockFS(ctrl)
			f.EXPECT().Dir("dir").Return(s.dir, nil)
			test.script(s)
			gomock.InOrder(s.calls...)

			l := lock.New("dir", lock.WithFS(f), lock.WithProcesses(s.table))
			lock.SetMaxAttempts(l, max(1, test.attempts))
			lock.SetMaxGap(l, max(1, test.gap))
			lock.SetPause(l, func(context.Context, time.Duration, <-chan struct{}, <-chan struct{}) error { return nil })
			ok, err := l.TryLock()
			require.Equal(t, test.ok, ok)
			require.Truef(t, errors.Is(err, test.err), "%v", err)
			_, held := l.Owner()
			require.Equal(t, test.ok, held)
		})
	}
}

// The same for Unlock and Check.
func TestScriptsUnlock(t *testing.T) {
	for _, test := range []struct {
		name   string
		intact bool
		err    error // of Intact
		remove bool
		closed bool
		want   error
	}{
		{name: "held", intact: true, remove: true, closed: true},
		{name: "lost", closed: true, want: lock.ErrLost},
		{name: "the look fails", err: errInjected, want: errInjected},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctrl := gomock.NewController(t)
			dir, file, table := gomocks.NewMockDir(ctrl), gomocks.NewMockFile(ctrl), gomocks.NewMockTable(ctrl)
			dir.EXPECT().Path().Return("/dir").AnyTimes()
			table.EXPECT().Self().Return(someOwner.Identity, nil).AnyTimes()
			calls := []any{
				dir.EXPECT().Read("L0").Return(fsys.Snapshot{}, fs.ErrNotExist).Call,
				dir.EXPECT().Create("L0", gomock.Any()).Return(file, nil).Call,
				file.EXPECT().Intact("L0").Return(test.intact, test.err).Call, // Check
				file.EXPECT().Intact("L0").Return(test.intact, test.err).Call, // Unlock
			}
			if test.remove {
				calls = append(calls, dir.EXPECT().Remove("L0").Return(nil).Call)
			}
			if test.closed {
				calls = append(calls, file.EXPECT().Close().Return(nil).Call)
			}
			gomock.InOrder(calls...)
			l := lock.New("dir", lock.WithFS(fixedFS{dir}), lock.WithProcesses(table))
			mustTry(t, l, true)
			require.ErrorIs(t, l.Check(), test.want)
			require.ErrorIs(t, l.Unlock(), test.want)
		})
	}
}
