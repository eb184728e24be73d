package fsystest_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spf13/afero"
	"github.com/stretchr/testify/require"

	"github.com/dirlock/dirlock/fsys"
	"github.com/dirlock/dirlock/fsys/aferofs"
	"github.com/dirlock/dirlock/fsys/fsystest"
	"github.com/dirlock/dirlock/fsys/memfs"
	"github.com/dirlock/dirlock/fsys/osfs"
)

// A broken file system is a good one in which one operation is another one.
type broken struct {
	fsys.FS
	wrap func(afs afero.Fs, d dir) fsys.Dir
	afs  afero.Fs
}

// dir is all that a directory in memory can do.
type dir interface {
	fsys.Localizer
	fsys.Watcher
}

func (b broken) Dir(name string) (fsys.Dir, error) {
	d, err := b.FS.Dir(name)
	if err != nil {
		return nil, err
	}
	return b.wrap(b.afs, d.(dir)), nil
}

// check runs the suite on it.
func check(wrap func(afs afero.Fs, d dir) fsys.Dir) error {
	afs, newDir := memory()
	return fsystest.Check(fsystest.Backend{
		New:     func() (fsys.FS, string) { return broken{aferofs.New(afs), wrap, afs}, newDir() },
		Foreign: inMemory(afs),
	})
}

// Each method that is not nil stands in for the directory's own.
type fakeDir struct {
	dir
	create  func(name string, data []byte) (fsys.File, error)
	read    func(name string) (fsys.Snapshot, error)
	replace func(oldname, newname string) error
	remove  func(name string) error
	list    func(prefix string) ([]string, error)
	watch   func(name string) (<-chan struct{}, func(), error)
	intact  func(f fsys.File, name string) (bool, error)
}

// operations counts what is done, so that what is broken can wait for somebody
// to notice.
var operations atomic.Int64

// meanwhile returns when somebody else has begun an operation, or when nobody
// seems to be there.
func meanwhile() {
	before := operations.Load()
	for i := 0; i < 1000 && operations.Load() == before; i++ {
		runtime.Gosched()
	}
}

func (d fakeDir) Create(name string, data []byte) (fsys.File, error) {
	operations.Add(1)
	create := d.dir.Create
	if d.create != nil {
		create = d.create
	}
	f, err := create(name, data)
	if err == nil && d.intact != nil {
		f = fakeFile{f, d.intact}
	}
	return f, err
}

func (d fakeDir) Read(name string) (fsys.Snapshot, error) {
	operations.Add(1)
	if d.read != nil {
		return d.read(name)
	}
	return d.dir.Read(name)
}

func (d fakeDir) Replace(oldname, newname string) error {
	if d.replace != nil {
		return d.replace(oldname, newname)
	}
	return d.dir.Replace(oldname, newname)
}

func (d fakeDir) Remove(name string) error {
	if d.remove != nil {
		return d.remove(name)
	}
	return d.dir.Remove(name)
}

func (d fakeDir) List(prefix string) ([]string, error) {
	if d.list != nil {
		return d.list(prefix)
	}
	return d.dir.List(prefix)
}

func (d fakeDir) Watch(name string) (<-chan struct{}, func(), error) {
	if d.watch != nil {
		return d.watch(name)
	}
	return d.dir.Watch(name)
}

type maker struct {
	dir
	mkdir func() error
}

func (m maker) Mkdir() error { return m.mkdir() }

type fakeFile struct {
	fsys.File
	intact func(f fsys.File, name string) (bool, error)
}

func (f fakeFile) Intact(name string) (bool, error) { return f.intact(f.File, name) }

func TestBroken(t *testing.T) {
	require.NoError(t, check(func(_ afero.Fs, d dir) fsys.Dir { return fakeDir{dir: d} }), "nothing is broken yet")

	// For the last test: all of its directories share a channel.
	var once sync.Once
	var removed chan struct{}

	tests := []struct {
		name string
		// want are parts of messages, each of which must be among those of
		// the suite.
		want []string
		bend func(afs afero.Fs, d dir) fsys.Dir
	}{
		{
			"Create is not exclusive",
			[]string{"name is taken: second Create", "one creator:"},
			func(_ afero.Fs, d dir) fsys.Dir {
				return fakeDir{dir: d, create: func(name string, data []byte) (fsys.File, error) {
					f, err := d.Create(name, data)
					if errors.Is(err, fs.ErrExist) {
						if temp, err := d.Create("temp"+name, data); err == nil {
							return temp, d.Replace("temp"+name, name)
						}
					}
					return f, err
				}}
			},
		},
		{
			"Create looks, and then creates",
			[]string{"one creator:"},
			func(_ afero.Fs, d dir) fsys.Dir {
				return fakeDir{dir: d, create: func(name string, data []byte) (fsys.File, error) {
					_, err := d.Read(name)
					if !errors.Is(err, fs.ErrNotExist) {
						return d.Create(name, data)
					}
					meanwhile()
					for {
						f, err := d.Create(name, data)
						if !errors.Is(err, fs.ErrExist) {
							return f, err
						}
						if err := d.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
							return nil, err
						}
					}
				}}
			},
		},
		{
			"Create writes in two steps",
			[]string{"that nobody wrote as a whole"},
			func(afs afero.Fs, d dir) fsys.Dir {
				return fakeDir{dir: d, create: func(name string, data []byte) (fsys.File, error) {
					f, err := d.Create(name, data)
					if err != nil {
						return nil, err
					}
					path := filepath.Join(d.Path(), name)
					_ = afero.WriteFile(afs, path, data[:len(data)/2], 0o644)
					meanwhile()
					_ = afero.WriteFile(afs, path, data, 0o644)
					return f, nil
				}}
			},
		},
		{
			"Create keeps the caller's slice",
			[]string{"create and read: Read of 1 bytes: got 1 bytes, equal: false"},
			func(_ afero.Fs, d dir) fsys.Dir {
				var kept sync.Map
				return fakeDir{dir: d, create: func(name string, data []byte) (fsys.File, error) {
					f, err := d.Create(name, data)
					if err == nil {
						kept.Store(name, data)
					}
					return f, err
				}, read: func(name string) (fsys.Snapshot, error) {
					s, err := d.Read(name)
					if data, ok := kept.Load(name); err == nil && ok && len(s.Data) == 1 {
						s.Data = data.([]byte)
					}
					return s, err
				}}
			},
		},
		{
			"Create makes the directory",
			[]string{"missing directory: Create in a missing directory"},
			func(afs afero.Fs, d dir) fsys.Dir {
				return fakeDir{dir: d, create: func(name string, data []byte) (fsys.File, error) {
					_ = afs.MkdirAll(d.Path(), 0o755)
					return d.Create(name, data)
				}}
			},
		},
		{
			"Create takes a missing directory for contention",
			[]string{"missing directory: Create"},
			func(_ afero.Fs, d dir) fsys.Dir {
				return fakeDir{dir: d, create: func(name string, data []byte) (fsys.File, error) {
					f, err := d.Create(name, data)
					if err != nil {
						err = &fs.PathError{Op: "create", Path: filepath.Join(d.Path(), name), Err: fs.ErrExist}
					}
					return f, err
				}}
			},
		},
		{
			"Create leaves its temporary file",
			[]string{"nothing left: the directory should hold L0 alone"},
			func(afs afero.Fs, d dir) fsys.Dir {
				return fakeDir{dir: d, create: func(name string, data []byte) (fsys.File, error) {
					f, err := d.Create(name, data)
					if errors.Is(err, fs.ErrExist) {
						_ = afero.WriteFile(afs, filepath.Join(d.Path(), "temp"), data, 0o644)
					}
					return f, err
				}}
			},
		},
		{
			"Create returns nothing",
			[]string{"create and read: Create of 0 bytes: Create returned neither a File nor an error"},
			func(_ afero.Fs, d dir) fsys.Dir {
				return fakeDir{dir: d, create: func(name string, data []byte) (fsys.File, error) {
					_, err := d.Create(name, data)
					return nil, err
				}}
			},
		},
		{
			"Read always says held",
			[]string{"no witness: the witness is held, and held after Close, but the directory is not a Witnesser: want none"},
			func(_ afero.Fs, d dir) fsys.Dir { return fakeDir{dir: d, read: alwaysSays(d, fsys.Held)} },
		},
		{
			"Read always says free",
			[]string{"no witness: the witness is free, and free after Close, but the directory is not a Witnesser: want none"},
			func(_ afero.Fs, d dir) fsys.Dir { return fakeDir{dir: d, read: alwaysSays(d, fsys.Free)} },
		},
		{
			"Read always says held, Witnesses that there is none",
			[]string{"no witness: after Close the witness is held"},
			func(_ afero.Fs, d dir) fsys.Dir { return modest{fakeDir{dir: d, read: alwaysSays(d, fsys.Held)}} },
		},
		{
			"errors are bare",
			[]string{"errors: read of L0: *errors.errorString"},
			func(_ afero.Fs, d dir) fsys.Dir {
				return fakeDir{dir: d, read: func(name string) (fsys.Snapshot, error) {
					s, err := d.Read(name)
					if errors.Is(err, fs.ErrNotExist) {
						err = fs.ErrNotExist
					}
					return s, err
				}}
			},
		},
		{
			"errors name the file alone",
			[]string{"errors: remove of L0: Path is \"L0\""},
			func(_ afero.Fs, d dir) fsys.Dir {
				return fakeDir{dir: d, remove: func(name string) error {
					err := d.Remove(name)
					if p := (*fs.PathError)(nil); errors.As(err, &p) {
						p.Path = name
					}
					return err
				}}
			},
		},
		{
			"errors name another operation",
			[]string{"errors: create of L0: Op is \"open\""},
			func(_ afero.Fs, d dir) fsys.Dir {
				return fakeDir{dir: d, create: func(name string, data []byte) (fsys.File, error) {
					f, err := d.Create(name, data)
					if p := (*fs.PathError)(nil); errors.As(err, &p) {
						p.Op = "open"
					}
					return f, err
				}}
			},
		},
		{
			"Remove of nothing succeeds",
			[]string{"errors: remove of L0 succeeded", "one remover: 3 removers"},
			func(_ afero.Fs, d dir) fsys.Dir {
				return fakeDir{dir: d, remove: func(name string) error {
					if err := d.Remove(name); !errors.Is(err, fs.ErrNotExist) {
						return err
					}
					return nil
				}}
			},
		},
		{
			"Remove removes directories",
			[]string{"hostile names: Remove removed a directory"},
			func(afs afero.Fs, d dir) fsys.Dir {
				return fakeDir{dir: d, remove: func(name string) error {
					err := d.Remove(name)
					if errors.Is(err, fsys.ErrNotRegular) {
						return afs.Remove(filepath.Join(d.Path(), name))
					}
					return err
				}}
			},
		},
		{
			"Replace removes first",
			[]string{"replace is atomic:"},
			func(_ afero.Fs, d dir) fsys.Dir {
				return fakeDir{dir: d, replace: func(oldname, newname string) error {
					if _, err := d.Read(oldname); err != nil {
						return d.Replace(oldname, newname)
					}
					if err := d.Remove(newname); err != nil && !errors.Is(err, fs.ErrNotExist) {
						return err
					}
					meanwhile()
					return d.Replace(oldname, newname)
				}}
			},
		},
		{
			"Replace copies",
			[]string{"replace: the old name is still there"},
			func(_ afero.Fs, d dir) fsys.Dir {
				return fakeDir{dir: d, replace: func(oldname, newname string) error {
					s, err := d.Read(oldname)
					if err != nil {
						return d.Replace(oldname, newname)
					}
					f, err := d.Create("temp", s.Data)
					if err != nil {
						return err
					}
					return errors.Join(d.Replace("temp", newname), f.Close())
				}}
			},
		},
		{
			"one identity for all",
			[]string{"identity: file 1 has the identity of file 0"},
			func(_ afero.Fs, d dir) fsys.Dir {
				return fakeDir{dir: d, read: func(name string) (fsys.Snapshot, error) {
					s, err := d.Read(name)
					s.ID = fsys.ID{1}
					return s, err
				}}
			},
		},
		{
			"another identity at every look",
			[]string{"identity: two looks at one file"},
			func(_ afero.Fs, d dir) fsys.Dir {
				var n atomic.Uint64
				return fakeDir{dir: d, read: func(name string) (fsys.Snapshot, error) {
					s, err := d.Read(name)
					s.ID = fsys.ID{n.Add(1)}
					return s, err
				}}
			},
		},
		{
			"Intact looks for the name alone",
			[]string{"intact: Intact while the name is another's", "replace: Intact of the file that was replaced"},
			func(_ afero.Fs, d dir) fsys.Dir {
				return fakeDir{dir: d, intact: func(f fsys.File, name string) (bool, error) {
					_, err := d.Read(name)
					return err == nil, nil
				}}
			},
		},
		{
			"Intact does not look at the content",
			[]string{"intact: Intact of a file that was written over"},
			func(_ afero.Fs, d dir) fsys.Dir {
				return fakeDir{dir: d, create: func(name string, data []byte) (fsys.File, error) {
					f, err := d.Create(name, data)
					if err != nil {
						return nil, err
					}
					mine, _ := d.Read(name)
					return fakeFile{f, func(f fsys.File, name string) (bool, error) {
						if ok, err := f.Intact(name); ok || err != nil {
							return ok, err
						}
						now, err := d.Read(name)
						return err == nil && now.ID == mine.ID, nil
					}}, nil
				}}
			},
		},
		{
			"Intact takes a removed file for an error",
			[]string{"intact: Intact by another name"},
			func(_ afero.Fs, d dir) fsys.Dir {
				return fakeDir{dir: d, intact: func(f fsys.File, name string) (bool, error) {
					if _, err := d.Read(name); err != nil {
						return false, err
					}
					return f.Intact(name)
				}}
			},
		},
		{
			"List ignores the prefix",
			[]string{"list: List of \"L\": 301 names, want 201; missing: nothing; should not be there: other0 "},
			func(_ afero.Fs, d dir) fsys.Dir {
				return fakeDir{dir: d, list: func(string) ([]string, error) { return d.List("") }}
			},
		},
		{
			"List reads one batch",
			[]string{"list: List of \"L\": 100 names, want 201; missing: L4 L5 L7 L8 L25 and 96 more"},
			func(_ afero.Fs, d dir) fsys.Dir {
				return fakeDir{dir: d, list: func(prefix string) ([]string, error) {
					names, err := d.List(prefix)
					return names[:min(len(names), 100)], err
				}}
			},
		},
		{
			"List gives regular files only",
			[]string{"list:", "hostile names: a directory that was looked at is gone"},
			func(_ afero.Fs, d dir) fsys.Dir {
				return fakeDir{dir: d, list: func(prefix string) ([]string, error) {
					all, err := d.List(prefix)
					var names []string
					for _, name := range all {
						if _, err := d.Read(name); !errors.Is(err, fsys.ErrNotRegular) {
							names = append(names, name)
						}
					}
					return names, err
				}}
			},
		},
		{
			"Read reads it all",
			[]string{"hostile names: Read of a huge file"},
			func(afs afero.Fs, d dir) fsys.Dir {
				return fakeDir{dir: d, read: func(name string) (fsys.Snapshot, error) {
					s, err := d.Read(name)
					if err == nil {
						s.Data, err = afero.ReadFile(afs, filepath.Join(d.Path(), name))
					}
					return s, err
				}}
			},
		},
		{
			"Read takes a directory for an empty file",
			[]string{"hostile names: directory: read of L0 succeeded"},
			func(_ afero.Fs, d dir) fsys.Dir {
				return fakeDir{dir: d, read: func(name string) (fsys.Snapshot, error) {
					s, err := d.Read(name)
					if errors.Is(err, fsys.ErrNotRegular) {
						err = nil
					}
					return s, err
				}}
			},
		},
		{
			"Witnesses says yes, and there is none",
			[]string{"witness: after Create: the witness is none, want held"},
			func(_ afero.Fs, d dir) fsys.Dir { return boaster{d} },
		},
		{
			"Mkdir does nothing",
			[]string{"make directory: List after Mkdir"},
			func(_ afero.Fs, d dir) fsys.Dir { return maker{d, func() error { return nil }} },
		},
		{
			"Mkdir fails if it is there",
			[]string{"make directory: Mkdir: "},
			func(afs afero.Fs, d dir) fsys.Dir {
				return maker{d, func() error {
					if _, err := afs.Stat(d.Path()); err == nil {
						return fs.ErrExist
					}
					return afs.MkdirAll(d.Path(), 0o777)
				}}
			},
		},
		{
			"Mkdir makes another one",
			[]string{"make directory: a second Mkdir removed"},
			func(afs afero.Fs, d dir) fsys.Dir {
				return maker{d, func() error {
					_ = afs.RemoveAll(d.Path())
					return afs.MkdirAll(d.Path(), 0o777)
				}}
			},
		},
		{
			"Sweep takes what is published",
			[]string{"sweep:"},
			func(_ afero.Fs, d dir) fsys.Dir { return sweeper{d} },
		},
		{
			"Prepare makes a file that can be seen",
			[]string{"prepare: after Prepare: the directory should be empty"},
			func(afs afero.Fs, d dir) fsys.Dir {
				return preparer{dir: d, prepare: func() error {
					return afero.WriteFile(afs, filepath.Join(d.Path(), "ready"), nil, 0o644)
				}}
			},
		},
		{
			"what was prepared replaces",
			[]string{"prepare: create of L0 succeeded"},
			func(_ afero.Fs, d dir) fsys.Dir {
				return preparer{dir: d, create: func(name string, data []byte) (fsys.File, error) {
					_ = d.Remove(name)
					return d.Create(name, data)
				}}
			},
		},
		{
			"what was prepared takes its file along",
			[]string{"prepare: Intact after Create: false"},
			func(_ afero.Fs, d dir) fsys.Dir {
				var made fsys.File
				return preparer{
					dir: d,
					create: func(name string, data []byte) (f fsys.File, err error) {
						made, err = d.Create(name, data)
						return made, err
					},
					close: func() error {
						if made == nil {
							return nil
						}
						return made.Close()
					},
				}
			},
		},
		{
			"what was prepared holds what came before",
			[]string{"prepare: Create of 302 bytes: Read got 4096 bytes"},
			func(_ afero.Fs, d dir) fsys.Dir {
				var before []byte
				return preparer{dir: d, create: func(name string, data []byte) (fsys.File, error) {
					if len(data) > len(before) {
						before = data
					}
					return d.Create(name, append(data, before[min(len(data), len(before)):]...))
				}}
			},
		},
		{
			"what was prepared is left by Close",
			[]string{"prepare: after Close: the directory should be empty"},
			func(afs afero.Fs, d dir) fsys.Dir {
				var used bool
				return preparer{
					dir:     d,
					prepare: func() error { used = false; return nil },
					create: func(name string, data []byte) (f fsys.File, err error) {
						f, err = d.Create(name, data)
						used = err == nil
						return f, err
					},
					close: func() error {
						if used {
							return nil
						}
						return afero.WriteFile(afs, filepath.Join(d.Path(), "ready"), nil, 0o644)
					},
				}
			},
		},
		{
			"Watch of nothing succeeds",
			[]string{"watch: watch of L0 succeeded"},
			func(_ afero.Fs, d dir) fsys.Dir {
				return fakeDir{dir: d, watch: func(name string) (<-chan struct{}, func(), error) {
					changed, stop, err := d.Watch(name)
					if errors.Is(err, fs.ErrNotExist) {
						ch := make(chan struct{}, 1)
						ch <- struct{}{}
						return ch, func() {}, nil
					}
					return changed, stop, err
				}}
			},
		},
		{
			"Watch closes the channel",
			[]string{"watch: the channel was closed"},
			func(_ afero.Fs, d dir) fsys.Dir {
				return fakeDir{dir: d, watch: func(name string) (<-chan struct{}, func(), error) {
					_, stop, err := d.Watch(name)
					closed := make(chan struct{})
					close(closed)
					return closed, stop, err
				}}
			},
		},
		{
			"Watch is deaf",
			[]string{"watch: no event in 30s after Remove"},
			func(_ afero.Fs, d dir) fsys.Dir {
				return fakeDir{dir: d, watch: func(name string) (<-chan struct{}, func(), error) {
					_, stop, err := d.Watch(name)
					return make(chan struct{}), stop, err
				}}
			},
		},
		{
			"Watch misses a replacement",
			[]string{"watch: no event in 30s after Replace by another file"},
			func(_ afero.Fs, d dir) fsys.Dir {
				once.Do(func() { removed = make(chan struct{}, 100) })
				return fakeDir{dir: d, remove: func(name string) error {
					err := d.Remove(name)
					for len(removed) < cap(removed) {
						removed <- struct{}{}
					}
					return err
				}, watch: func(name string) (<-chan struct{}, func(), error) {
					for len(removed) > 0 {
						<-removed
					}
					_, stop, err := d.Watch(name)
					return removed, stop, err
				}}
			},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			// In a bubble, waiting for an event that never comes takes no time.
			synctest.Test(t, func(t *testing.T) {
				err := check(test.bend)
				require.Error(t, err)
				for _, want := range test.want {
					require.Contains(t, err.Error(), want)
				}
			})
		})
	}
}

// preparer prepares nothing, and creates all the same: the plainest that there
// is.
type preparer struct {
	dir
	prepare func() error
	create  func(name string, data []byte) (fsys.File, error)
	close   func() error
}

type plain struct{ preparer }

func (p preparer) Prepare(int) (fsys.Prepared, error) {
	if p.prepare != nil {
		if err := p.prepare(); err != nil {
			return nil, err
		}
	}
	return plain{p}, nil
}

func (p plain) CreateIn(_ fsys.Dir, name string, data []byte) (fsys.File, error) {
	if p.create != nil {
		return p.create(name, data)
	}
	return p.dir.Create(name, data)
}

func (p plain) Close() error {
	if p.close != nil {
		return p.close()
	}
	return nil
}

func TestPlainPreparer(t *testing.T) {
	require.NoError(t, check(func(_ afero.Fs, d dir) fsys.Dir { return preparer{dir: d} }))
}

// alwaysSays is a Read that says the same of every file.
func alwaysSays(d dir, kind fsys.Witness) func(string) (fsys.Snapshot, error) {
	return func(name string) (fsys.Snapshot, error) {
		s, err := d.Read(name)
		s.Witness = kind
		return s, err
	}
}

// modest claims no witness.
type modest struct{ fakeDir }

func (modest) Witnesses() (fsys.Witness, error) { return fsys.NoWitness, nil }

// boaster claims a witness that its files do not have.
type boaster struct{ dir }

func (boaster) Witnesses() (fsys.Witness, error) { return fsys.Held, nil }

// sweeper removes everything.
type sweeper struct{ dir }

func (s sweeper) Sweep() error {
	names, err := s.List("")
	for _, name := range names {
		_ = s.Remove(name)
	}
	return err
}

func TestBrokenLinks(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("making symbolic links needs a privilege")
	}
	err := fsystest.Check(fsystest.Backend{
		New: func() (fsys.FS, string) { return followFS{osfs.New()}, t.TempDir() },
		Foreign: func(kind fsystest.Kind, dir, name string) error {
			if kind != fsystest.Symlink {
				return errors.ErrUnsupported
			}
			return foreign(kind, dir, name)
		},
	})
	require.ErrorContains(t, err, "hostile names: symlink: read of L1 succeeded")
	require.Len(t, strings.Split(err.Error(), "\n"), 1)
}

// checkOpen runs the suite on a disk with other open directories.
func checkOpen(wrap func(fsys.FS) fsys.FS) error {
	var disk *memfs.Disk
	return fsystest.Check(fsystest.Backend{
		New: func() (fsys.FS, string) {
			disk = memfs.New("/dir")
			return wrap(disk), "/dir"
		},
		Foreign: func(kind fsystest.Kind, dir, name string) error {
			switch path := dir + "/" + name; kind {
			case fsystest.Directory:
				disk.Mkdir(path)
			case fsystest.Moved:
				disk.Move(path, path+".moved")
			default:
				return errors.ErrUnsupported
			}
			return nil
		},
		Patience: time.Second,
	})
}

// An open directory that finds itself by its name again is none.
func TestBrokenOpen(t *testing.T) {
	err := checkOpen(func(f fsys.FS) fsys.FS { return reopenFS{f} })
	require.ErrorContains(t, err, "open directory: Read in the open directory, which was moved")
	require.Len(t, strings.Split(err.Error(), "\n"), 1)
}

// A file that does not ask for its place, and a watch that tells nothing.
func TestBrokenPlace(t *testing.T) {
	for want, bend := range map[string]openFS{
		"open directory: Place: here, <nil>; want moved": {place: func(fsys.File) (fsys.Place, error) { return fsys.Here, nil }},
		"open directory: Place: gone, <nil>; want replaced": {place: func(f fsys.File) (fsys.Place, error) {
			p, err := fsys.PlaceOf(f, "L0")
			if p == fsys.Replaced {
				p = fsys.Gone
			}
			return p, err
		}},
		"open directory: no event in 1s after WatchMove": {watch: func() (<-chan struct{}, func(), error) { return nil, func() {}, nil }},
	} {
		err := checkOpen(func(f fsys.FS) fsys.FS { bend.FS = f; return bend })
		require.ErrorContains(t, err, want)
		require.Len(t, strings.Split(err.Error(), "\n"), 1)
	}
}

// openFS has open directories of its own.
type openFS struct {
	fsys.FS
	place func(fsys.File) (fsys.Place, error)
	watch func() (<-chan struct{}, func(), error)
}

func (f openFS) Dir(name string) (fsys.Dir, error) {
	d, err := f.FS.Dir(name)
	return bentDir{d, f}, err
}

type bentDir struct {
	fsys.Dir
	bend openFS
}

func (d bentDir) Unwrap() fsys.Dir { return d.Dir }

func (d bentDir) Open() (fsys.OpenDir, error) {
	o, err := fsys.Open(d.Dir)
	return bentOpen{bentDir{o, d.bend}, o}, err
}

type bentOpen struct {
	bentDir
	open fsys.OpenDir
}

func (d bentOpen) Close() error { return d.open.Close() }

func (d bentOpen) Create(name string, data []byte) (fsys.File, error) {
	f, err := d.Dir.Create(name, data)
	if err == nil && d.bend.place != nil {
		f = bentFile{f, d.bend}
	}
	return f, err
}

func (d bentOpen) WatchMove() (<-chan struct{}, func(), error) {
	if d.bend.watch != nil {
		return d.bend.watch()
	}
	return fsys.WatchMove(d.Dir)
}

type bentFile struct {
	fsys.File
	bend openFS
}

func (f bentFile) Place(string) (fsys.Place, error) { return f.bend.place(f.File) }

type reopenFS struct{ fsys.FS }

func (f reopenFS) Dir(name string) (fsys.Dir, error) {
	d, err := f.FS.Dir(name)
	return reopenDir{d}, err
}

type reopenDir struct{ fsys.Dir }

func (d reopenDir) Unwrap() fsys.Dir            { return d.Dir }
func (d reopenDir) Open() (fsys.OpenDir, error) { return d, nil }
func (d reopenDir) Close() error                { return nil }

func (d reopenDir) Create(name string, data []byte) (fsys.File, error) {
	f, err := d.Dir.Create(name, data)
	if err != nil {
		return nil, err
	}
	return struct{ fsys.File }{f}, nil // no Placer
}

// followFS follows symbolic links.
type followFS struct{ fsys.FS }

func (f followFS) Dir(name string) (fsys.Dir, error) {
	d, err := f.FS.Dir(name)
	return followDir{d}, err
}

type followDir struct{ fsys.Dir }

func (d followDir) Unwrap() fsys.Dir { return d.Dir }

func (d followDir) Read(name string) (fsys.Snapshot, error) {
	s, err := d.Dir.Read(name)
	if errors.Is(err, fsys.ErrNotRegular) && !errors.Is(err, fsys.ErrDirectory) {
		s.Data, err = os.ReadFile(filepath.Join(d.Path(), name))
	}
	return s, err
}
