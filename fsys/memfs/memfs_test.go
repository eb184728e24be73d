package memfs_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dirlock/dirlock/fsys"
	"github.com/dirlock/dirlock/fsys/fsystest"
	"github.com/dirlock/dirlock/fsys/memfs"
	"github.com/dirlock/dirlock/proc/proctest"
)

// The suite, on every kind of disk.
func TestConformance(t *testing.T) {
	remote := memfs.Location(fsys.Location{Type: "nfs"})
	for name, options := range map[string][]memfs.Option{
		"default":      nil,
		"weak witness": {memfs.Witness(fsys.HeldWeakly)},
		"no witness":   {memfs.Witness(fsys.NoWitness)},
		"network":      {memfs.Network()},
		"nothing": {
			memfs.Witness(fsys.NoWitness), remote, memfs.NoIDs(),
			memfs.NoReplace(), memfs.NoPrepare(), memfs.NoEvents(),
		},
		"leased":      {memfs.Leased()},
		"late events": {memfs.LateEvents(time.Millisecond)},
	} {
		t.Run(name, func(t *testing.T) {
			fsystest.Run(t, backend(func(disk *memfs.Disk) fsys.FS {
				return disk.As(proctest.NewFake().Start("tester"))
			}, options...))
		})
	}
}

// An open directory keeps all promises, too.
func TestConformanceOfOpenDirs(t *testing.T) {
	fsystest.Run(t, backend(func(disk *memfs.Disk) fsys.FS { return opening{disk} }))
}

// backend has a new disk for every case.
func backend(view func(*memfs.Disk) fsys.FS, options ...memfs.Option) fsystest.Backend {
	var disk *memfs.Disk
	return fsystest.Backend{
		New: func() (fsys.FS, string) {
			disk = memfs.New(dir, options...)
			return view(disk), dir
		},
		Second:  func(fsys.FS) fsys.FS { return disk },
		Foreign: func(kind fsystest.Kind, dir, name string) error { return foreign(disk, kind, dir+"/"+name) },
	}
}

// opening opens directories if they are there.
type opening struct{ fsys.FS }

func (o opening) Dir(name string) (fsys.Dir, error) {
	d, err := o.FS.Dir(name)
	if err != nil {
		return nil, err
	}
	return fsys.Open(d)
}

// foreign does what other programs do.
func foreign(disk *memfs.Disk, kind fsystest.Kind, path string) error {
	special := map[fsystest.Kind]fs.FileMode{
		fsystest.Symlink: fs.ModeSymlink, fsystest.DanglingLink: fs.ModeSymlink, fsystest.FIFO: fs.ModeNamedPipe,
		fsystest.Socket: fs.ModeSocket, fsystest.Device: fs.ModeDevice,
	}
	switch {
	case kind == fsystest.Directory:
		disk.Mkdir(path)
	case kind == fsystest.Huge:
		disk.Put(path, make([]byte, 1<<20))
	case kind == fsystest.Moved:
		disk.Move(path, path+".moved")
	case kind == fsystest.Overwritten:
		disk.Write(path, []byte("foreign"))
	default:
		disk.Special(path, special[kind])
	}
	return nil
}

const dir = "/srv/data"

// open returns a directory that must be there.
func open(t *testing.T, f fsys.FS, name string) fsys.OpenDir {
	t.Helper()
	d, err := f.Dir(name)
	require.NoError(t, err)
	o, err := fsys.Open(d)
	require.NoError(t, err)
	return o
}

func byName(t *testing.T, f fsys.FS, name string) fsys.Dir {
	t.Helper()
	d, err := f.Dir(name)
	require.NoError(t, err)
	return d
}

func create(t *testing.T, d fsys.Dir, name, data string) fsys.File {
	t.Helper()
	f, err := d.Create(name, []byte(data))
	require.NoError(t, err)
	return f
}

func witnessOf(t *testing.T, d fsys.Dir, name string) string {
	t.Helper()
	s, err := d.Read(name)
	require.NoError(t, err)
	return s.Witness.String()
}

// A killed process has no locks and no files any more, and does nothing.
func TestKilled(t *testing.T) {
	for name, end := range map[string]func(*proctest.FakeProcess){
		"killed":   (*proctest.FakeProcess).Kill,
		"zombie":   (*proctest.FakeProcess).Zombie,
		"PID used": func(p *proctest.FakeProcess) { p.Kill() },
	} {
		t.Run(name, func(t *testing.T) {
			procs := proctest.NewFake()
			p, q := procs.Start("p"), procs.Start("q")
			disk := memfs.New(dir)
			mine, other := byName(t, disk.As(p), dir), byName(t, disk.As(q), dir)
			f := create(t, mine, "L0", "x")
			_, _, err := fsys.Watch(mine, "L0")
			require.NoError(t, err)
			open(t, disk.As(p), dir)
			_, err = fsys.Prepare(mine, 1)
			require.NoError(t, err)
			require.Equal(t, memfs.Usage{Files: 1, Dirs: 1, Watches: 1, Prepared: 1}, disk.Usage())
			require.Equal(t, "held", witnessOf(t, other, "L0"))

			end(p)
			if name == "PID used" {
				procs.StartPID(p.PID(), "r")
			}
			require.Equal(t, "free", witnessOf(t, other, "L0"))
			require.Zero(t, disk.Usage())
			before := disk.Entries(dir)
			_, err = mine.Create("L1", nil)
			require.ErrorIs(t, err, os.ErrProcessDone)
			require.ErrorIs(t, mine.Remove("L0"), os.ErrProcessDone)
			_, err = f.Intact("L0")
			require.ErrorIs(t, err, os.ErrProcessDone)
			require.ErrorIs(t, f.Close(), os.ErrProcessDone)
			require.Equal(t, before, disk.Entries(dir))
		})
	}
}

// A lock is seen by way of the mount that it was taken on, on one machine.
func TestWhoSeesAWitness(t *testing.T) {
	procs := proctest.NewFake()
	disk := memfs.New(dir, memfs.Network())
	again := disk.Mount()
	f := create(t, byName(t, disk.As(procs.Start("p")), dir), "L0", "x")
	for name, test := range map[string]struct {
		fs   fsys.FS
		want string
	}{
		"same machine":    {disk.As(procs.Start("q")), "held"},
		"container":       {disk.As(procs.Container().Start("q")), "held"},
		"another machine": {disk.As(procs.Machine("far").Start("q")), "free"},
		"another mount":   {again.As(procs.Start("q")), "free"},
		"no process":      {disk, "held"},
	} {
		require.Equal(t, test.want, witnessOf(t, byName(t, test.fs, dir), "L0"), name)
	}
	here, err := fsys.Locate(byName(t, disk, dir))
	require.NoError(t, err)
	there, err := fsys.Locate(byName(t, again, dir))
	require.NoError(t, err)
	require.NotEqual(t, here.Mount, there.Mount)
	local := memfs.New(dir)
	for _, test := range []struct {
		fs     fsys.FS
		direct bool
	}{{local, true}, {local.Mount(), false}} {
		loc, err := fsys.Locate(byName(t, test.fs, dir))
		require.NoError(t, err)
		require.Equal(t, test.direct, loc.Direct)
	}

	// The file keeps its lock by another name, and the strongest lock counts.
	unlock := disk.Lock(dir+"/L0", fsys.HeldWeakly)
	disk.Link(dir+"/L0", dir+"/L1")
	disk.Remove(dir + "/L0")
	d := byName(t, disk, dir)
	require.Equal(t, "held", witnessOf(t, d, "L1"))
	require.NoError(t, f.Close())
	require.Equal(t, "held weakly", witnessOf(t, d, "L1"))
	unlock()
	require.Equal(t, "free", witnessOf(t, d, "L1"))
	disk.Set(memfs.Witness(fsys.NoWitness))
	require.Equal(t, "none", witnessOf(t, d, "L1"))
}

// What is open is one directory, whatever its name leads to.
func TestOpenDir(t *testing.T) {
	for name, test := range map[string]struct {
		change func(disk *memfs.Disk)
		gone   bool // the directory
		named  error
	}{
		"moved":             {func(d *memfs.Disk) { d.Move(dir, "/srv/other") }, false, fs.ErrNotExist},
		"moved, made again": {func(d *memfs.Disk) { d.Move(dir, "/srv/other"); d.Mkdir(dir) }, false, nil},
		"removed":           {func(d *memfs.Disk) { d.Remove(dir) }, true, fs.ErrNotExist},
		"made again":        {func(d *memfs.Disk) { d.Remove(dir); d.Mkdir(dir) }, true, nil},
		"mounted over":      {func(d *memfs.Disk) { d.MountOver(dir) }, false, nil},
		"link moved":        {func(d *memfs.Disk) { d.Mkdir("/new"); d.Remove("/link"); d.Symlink("new", "/link") }, false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			disk := memfs.New(dir)
			path := dir
			if name == "link moved" {
				disk.Symlink("srv/../srv/data", "/link")
				path = "/link"
			}
			named := byName(t, disk, path)
			o := open(t, disk, path)
			f := create(t, o, "L0", "x")
			test.change(disk)
			_, err := o.Read("L0")
			_, errOfCreate := o.Create("L1", nil)
			ok, errOfIntact := f.Intact("L0")
			if test.gone {
				require.ErrorIs(t, err, fs.ErrNotExist)
				require.ErrorIs(t, errOfCreate, fs.ErrNotExist)
			} else {
				require.NoError(t, errors.Join(err, errOfCreate))
			}
			require.NoError(t, errOfIntact)
			require.Equal(t, !test.gone, ok)
			_, err = named.List("")
			require.ErrorIs(t, err, test.named)
			_, err = named.Read("L0")
			require.ErrorIs(t, err, fs.ErrNotExist)

			require.NoError(t, o.Close())
			require.ErrorIs(t, o.Close(), fs.ErrClosed)
			_, err = o.Read("L0")
			require.ErrorIs(t, err, fs.ErrClosed)
			require.NoError(t, f.Close())
			if name == "mounted over" {
				over, err := fsys.Locate(named)
				require.NoError(t, err)
				disk.Unmount(dir)
				under, err := fsys.Locate(named)
				require.NoError(t, err)
				require.NotEqual(t, under.Mount, over.Mount)
				require.Equal(t, []string{"L0", "L1"}, disk.Names(dir))
			}
		})
	}
}

// Before is called ahead of every operation, and can make it fail, with or
// without effect.
func TestBefore(t *testing.T) {
	disk := memfs.New(dir)
	p := proctest.NewFake().Start("p")
	bad := errors.New("bad")
	var ops []string
	fail := map[string]error{}
	disk.Before(func(op memfs.Op) error {
		require.Equal(t, p, op.Process)
		require.Equal(t, filepath.FromSlash(dir), op.Dir)
		ops = append(ops, op.String())
		return fail[op.Name]
	})
	d := byName(t, disk.As(p), dir)
	f := create(t, d, "L1", "x")
	_, err := d.Read("L1")
	require.NoError(t, err)
	require.NoError(t, d.Replace("L1", "L0"))
	_, err = d.List("L")
	require.NoError(t, err)
	require.NoError(t, f.Close())
	require.NoError(t, d.Remove("L0"))
	require.Equal(t, "create L1, read L1, witness L1, replace L1 L0, list L, close, remove L0", strings.Join(ops, ", "))

	fail["create"] = bad
	_, err = d.Create("L0", nil)
	var pe *fs.PathError
	require.ErrorAs(t, err, &pe)
	require.Equal(t, fs.PathError{Op: "create", Path: filepath.FromSlash(dir + "/L0"), Err: bad}, *pe)
	require.Empty(t, disk.Names(dir))
	fail["create"] = memfs.ButDone(bad)
	_, err = d.Create("L0", nil)
	require.ErrorIs(t, err, bad)
	require.Equal(t, []string{"L0"}, disk.Names(dir))
	require.Equal(t, "free", witnessOf(t, d, "L0"), "nobody has it open")
	fail["witness"] = bad
	require.Equal(t, "none", witnessOf(t, d, "L0"))
	for _, name := range []string{"open", "watch", "prepare", "witnesses", "locate"} {
		fail[name] = memfs.ButDone(bad)
	}
	_, err = fsys.Open(d)
	require.ErrorIs(t, err, bad)
	_, _, err = fsys.Watch(d, "L0")
	require.ErrorIs(t, err, bad)
	_, err = fsys.Prepare(d, 1)
	require.ErrorIs(t, err, bad)
	_, err = fsys.Witnesses(d)
	require.ErrorIs(t, err, bad)
	_, err = fsys.Locate(d)
	require.ErrorIs(t, err, bad)
	require.Zero(t, disk.Usage())
	disk.Before(nil)
	require.NoError(t, d.Remove("L0"))
}

// The details of POSIX.
func TestStrict(t *testing.T) {
	disk := memfs.New(dir)
	d := byName(t, disk, dir)
	f := create(t, d, "L0", "x")
	one, err := d.Read("L0")
	require.NoError(t, err)
	disk.Link(dir+"/L0", dir+"/L1")
	require.NoError(t, d.Replace("L1", "L0"), "two names of one file")
	require.Equal(t, []string{"L0", "L1"}, disk.Names(dir))
	require.NoError(t, d.Remove("L1"))
	two, err := d.Read("L0")
	require.NoError(t, err)
	require.NotEqual(t, one.ID, two.ID, "a link changes the change time")
	disk.Link(dir+"/L0", dir+"/L1")
	two, err = d.Read("L0")
	require.NoError(t, err)
	require.NoError(t, d.Remove("L1"))
	three, err := d.Read("L0")
	require.NoError(t, err)
	require.NotEqual(t, two.ID, three.ID, "so does its removal")

	ok, err := f.Intact("L0")
	require.NoError(t, err)
	require.True(t, ok)
	disk.Move(dir+"/L0", dir+"/away")
	disk.Put(dir+"/L0", []byte("x"))
	ok, err = f.Intact("L0")
	require.NoError(t, err)
	require.False(t, ok, "it is a copy")
	disk.Move(dir+"/away", dir+"/L0")
	ok, err = f.Intact("L0")
	require.NoError(t, err)
	require.True(t, ok)
	disk.Write(dir+"/L0", nil)
	ok, err = f.Intact("L0")
	require.NoError(t, err)
	require.False(t, ok, "it was cut short")

	require.Panics(t, func() { disk.Move(dir+"/none", dir+"/L0") })
	require.Panics(t, func() { disk.Put("/none/L0", nil) })
	require.Panics(t, func() { disk.Put(dir, nil) })
	require.Panics(t, func() { disk.Write(dir, nil) })
	require.Panics(t, func() { disk.Unmount(dir) })
	require.Panics(t, func() { disk.Remove("/") })
	require.Panics(t, func() { disk.Symlink("loop", "/loop"); disk.Entries("/loop") })
	disk.Remove(dir + "/none")
	_, err = disk.Dir("")
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.Equal(t, disk.As(nil), disk.As(nil))
	_, err = byName(t, disk, "srv/data/L0").List("")
	require.Error(t, err, "it is a file")
}

// Events, late and lost, and what makes them.
func TestEvents(t *testing.T) {
	for name, change := range map[string]func(*memfs.Disk){
		"removed":             func(d *memfs.Disk) { d.Remove(dir + "/L0") },
		"directory removed":   func(d *memfs.Disk) { d.Remove(dir) },
		"replaced":            func(d *memfs.Disk) { d.Put(dir+"/L0", nil) },
		"replaced by another": func(d *memfs.Disk) { d.Put("/new", nil); d.Move("/new", dir+"/L0") },
		"moved":               func(d *memfs.Disk) { d.Move(dir+"/L0", "/old") },
	} {
		for _, late := range []time.Duration{0, time.Minute} {
			synctest.Test(t, func(t *testing.T) {
				disk := memfs.New(dir, memfs.LateEvents(late))
				disk.Put(dir+"/L0", nil)
				changed, stop, err := fsys.Watch(byName(t, disk, dir), "L0")
				require.NoError(t, err)
				time.AfterFunc(time.Hour, func() { change(disk) })
				start := time.Now()
				<-changed
				require.Equal(t, time.Hour+late, time.Since(start), name)
				stop()
				require.Zero(t, disk.Usage())
			})
		}
	}
	disk := memfs.New(dir, memfs.LostEvents(true))
	disk.Put(dir+"/L0", nil)
	changed, stop, err := fsys.Watch(byName(t, disk, dir), "L0")
	require.NoError(t, err)
	disk.Remove(dir + "/L0")
	stop()
	require.Empty(t, changed)
}

// A file that was made in an open directory tells where the name leads by now.
func TestPlace(t *testing.T) {
	disk := memfs.New(dir)
	o, err := fsys.Open(byName(t, disk, dir))
	require.NoError(t, err)
	f := create(t, o, "L0", "x")
	want := func(want fsys.Place) {
		t.Helper()
		place, err := fsys.PlaceOf(f, "L0")
		require.NoError(t, err)
		require.Equal(t, want.String(), place.String())
	}
	want(fsys.Here)
	disk.MountOver(dir)
	want(fsys.Replaced)
	disk.Unmount(dir)
	disk.Move(dir, "/moved")
	want(fsys.Moved)
	disk.Symlink("/moved", dir)
	want(fsys.Here)
	disk.Remove(dir)
	disk.Mkdir(dir)
	want(fsys.Replaced)
	disk.Remove("/moved/L0")
	want(fsys.Replaced)
	disk.Remove(dir)
	want(fsys.Gone)
	require.NoError(t, f.Close())
	_, err = fsys.PlaceOf(f, "L0")
	require.ErrorIs(t, err, fs.ErrClosed)

	// One that was made by the name is looked for by the name.
	disk.Mkdir(dir)
	f = create(t, byName(t, disk, dir), "L0", "x")
	want(fsys.Here)
	disk.Move(dir, "/away")
	want(fsys.Gone)
}
