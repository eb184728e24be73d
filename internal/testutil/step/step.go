// Package step gives a test control between the file operations of a lock: it
// can count them, change the world before one, make one fail, or kill the
// process there.
package step

import (
	"errors"
	"io/fs"
	"path"

	"github.com/dirlock/dirlock/fsys"
)

// Op is an operation that is about to begin.
type Op struct {
	// Name is the method in lower case, "create" or "intact".
	Name string
	// File is the name that it is about; for a replacement "L1 L0".
	File string
}

// String returns "create L0".
func (o Op) String() string {
	if o.File == "" {
		return o.Name
	}
	return o.Name + " " + o.File
}

// FS returns base with a call of before ahead of every operation of its
// directories and of the files that they create. If before returns an error,
// the operation fails with it, in an *fs.PathError, and is not done.
//
// The optional abilities of base are those of the result.
func FS(base fsys.FS, before func(Op) error) fsys.FS {
	return &stepFS{base, before}
}

type stepFS struct {
	fsys.FS
	before func(Op) error
}

func (f *stepFS) Dir(name string) (fsys.Dir, error) {
	d, err := f.FS.Dir(name)
	if err != nil {
		return nil, err
	}
	return &dir{d, f.before}, nil
}

type dir struct {
	fsys.Dir
	before func(Op) error
}

var (
	_ fsys.Opener    = (*dir)(nil)
	_ fsys.Witnesser = (*dir)(nil)
	_ fsys.Localizer = (*dir)(nil)
	_ fsys.Watcher   = (*dir)(nil)
	_ fsys.Sweeper   = (*dir)(nil)
	_ fsys.Preparer  = (*dir)(nil)
	_ fsys.Nester    = (*dir)(nil)
	_ fsys.Subdir    = subdir{}
)

// Open opens the directory if base can.
func (d *dir) Open() (fsys.OpenDir, error) {
	if err := d.step("open", "."); err != nil {
		return nil, err
	}
	o, err := fsys.Open(d.Dir)
	if err != nil {
		return nil, err
	}
	return openDir{&dir{o, d.before}, o}, nil
}

// openDir is a directory that is open. It is not opened again.
type openDir struct {
	fsys.Dir
	open fsys.OpenDir
}

func (d openDir) Unwrap() fsys.Dir { return d.Dir }

func (d openDir) Close() error {
	return errors.Join(d.Dir.(*dir).step("close", "."), d.open.Close())
}

func (d *dir) step(op, file string) error {
	if err := d.before(Op{op, file}); err != nil {
		return &fs.PathError{Op: op, Path: path.Join(d.Path(), file), Err: err}
	}
	return nil
}

func (d *dir) Create(name string, data []byte) (fsys.File, error) {
	if err := d.step("create", name); err != nil {
		return nil, err
	}
	f, err := d.Dir.Create(name, data)
	if err != nil {
		return nil, err
	}
	return &file{f, d}, nil
}

func (d *dir) Read(name string) (fsys.Snapshot, error) {
	if err := d.step("read", name); err != nil {
		return fsys.Snapshot{}, err
	}
	return d.Dir.Read(name)
}

func (d *dir) Replace(oldname, newname string) error {
	if err := d.step("replace", oldname+" "+newname); err != nil {
		return err
	}
	return d.Dir.Replace(oldname, newname)
}

func (d *dir) Remove(name string) error {
	if err := d.step("remove", name); err != nil {
		return err
	}
	return d.Dir.Remove(name)
}

func (d *dir) List(prefix string) ([]string, error) {
	if err := d.step("list", ""); err != nil {
		return nil, err
	}
	return d.Dir.List(prefix)
}

func (d *dir) Witnesses() (fsys.Witness, error) {
	if err := d.step("witnesses", ""); err != nil {
		return fsys.NoWitness, err
	}
	return fsys.Witnesses(d.Dir)
}

func (d *dir) Locate() (fsys.Location, error) { return fsys.Locate(d.Dir) }

func (d *dir) Watch(name string) (<-chan struct{}, func(), error) {
	return fsys.Watch(d.Dir, name)
}

func (d *dir) Sweep() error {
	if err := d.step("sweep", ""); err != nil {
		return err
	}
	return fsys.Sweep(d.Dir)
}

func (d *dir) Prepare(size int) (fsys.Prepared, error) {
	p, err := fsys.Prepare(d.Dir, size)
	if err != nil {
		return nil, err
	}
	return &prepared{p}, nil
}

type prepared struct {
	fsys.Prepared
}

func (p *prepared) CreateIn(in fsys.Dir, name string, data []byte) (fsys.File, error) {
	d, ok := in.(*dir)
	if !ok {
		return p.Prepared.CreateIn(in, name, data)
	}
	if err := d.step("create", name); err != nil {
		_ = p.Close()
		return nil, err
	}
	f, err := p.Prepared.CreateIn(d.Dir, name, data)
	if err != nil {
		return nil, err
	}
	return &file{f, d}, nil
}

type file struct {
	fsys.File
	d *dir
}

func (f *file) Intact(name string) (bool, error) {
	if err := f.d.step("intact", name); err != nil {
		return false, err
	}
	return f.File.Intact(name)
}

func (f *file) Close() error {
	if err := f.d.step("close", ""); err != nil {
		return err
	}
	return f.File.Close()
}

func (d *dir) MakeDir(name string) error {
	if err := d.step("mkdir", name); err != nil {
		return err
	}
	return fsys.MakeDir(d.Dir, name)
}

func (d *dir) RemoveDir(name string) error {
	if err := d.step("rmdir", name); err != nil {
		return err
	}
	return fsys.RemoveDir(d.Dir, name)
}

func (d *dir) OpenDir(name string) (fsys.Subdir, error) {
	if err := d.step("open", name); err != nil {
		return nil, err
	}
	s, err := fsys.OpenSubdir(d.Dir, name)
	if err != nil {
		return nil, err
	}
	return subdir{&dir{s, d.before}, d, s, name}, nil
}

// subdir is a directory in another one.
type subdir struct {
	*dir
	parent *dir
	sub    fsys.Subdir
	name   string
}

func (s subdir) Named() (bool, error) {
	if err := s.parent.step("named", s.name); err != nil {
		return false, err
	}
	return s.sub.Named()
}

func (s subdir) Close() error { return errors.Join(s.step("close", "."), s.sub.Close()) }
