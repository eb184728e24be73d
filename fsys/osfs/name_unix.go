//go:build unix

package osfs

import (
	"errors"
	"io/fs"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/dirlock/dirlock/fsys"
)

const (
	supported = true
	held      = true
)

// named is the directory that a name leads to, whichever that is by now. Each
// operation opens it.
type named struct {
	path   string // absolute, unless the working directory has no path
	prefix string // path and a separator
	memory memory

	// What a relative name was, and the working directory that it was relative
	// to. Its absolute path may lead through directories that are closed to us,
	// or be too long.
	relative string
	from     fileID
	lost     bool // path does not lead there: something is mounted over it, or there is none

	root fileID // the root directory from which path led
	up   *dir   // of a directory in another one: that one, which may be closed by now
	last atomic.Pointer[filePath]
}

// filePath is the path of a file.
type filePath struct{ name, path string }

// pathOf returns the path of a file. The same one is asked for again and again.
func (n *named) pathOf(name string) string {
	p := n.last.Load()
	if p == nil || p.name != name {
		p = &filePath{name, n.prefix + name}
		n.last.Store(p)
	}
	return p.path
}

var (
	_ fsys.Opener    = (*named)(nil)
	_ fsys.Peeker    = (*named)(nil)
	_ fsys.Witnesser = (*named)(nil)
	_ fsys.Localizer = (*named)(nil)
	_ fsys.Watcher   = (*named)(nil)
	_ fsys.Sweeper   = (*named)(nil)
	_ fsys.Placer    = (*osFile)(nil)
)

func newDir(name string) (fsys.Dir, error) {
	n := &named{path: tidy(name)}
	if n.path[0] != '/' {
		var st unix.Stat_t
		if err := fstatat(unix.AT_FDCWD, ".", &st, 0); err != nil {
			return nil, err
		}
		n.relative, n.from, n.lost = n.path, idOf(&st), true
		if wd, err := os.Getwd(); err == nil {
			n.path = tidy(withSeparator(wd) + n.path)
			n.lost = fstatat(unix.AT_FDCWD, wd, &st, 0) == nil && idOf(&st) != n.from
		}
	}
	n.prefix = withSeparator(n.path)
	n.root, _ = rootID()
	return n, nil
}

// sub stands for a directory in the one that has the name, and is open.
func (d *dir) sub(name string) *named {
	n := d.named
	s := &named{path: n.prefix + name, from: n.from, lost: n.lost, root: n.root, up: d}
	s.prefix = withSeparator(s.path)
	if n.relative != "" {
		s.relative = withSeparator(n.relative) + name
	}
	return s
}

// rootID tells which root directory this process has.
func rootID() (fileID, error) {
	var st unix.Stat_t
	err := fstatat(unix.AT_FDCWD, "/", &st, 0)
	return idOf(&st), err
}

// Open opens the directory by its absolute path. If that does not lead there, a
// relative name does while the process has not changed its directory.
func (n *named) Open() (fsys.OpenDir, error) {
	d, err := n.open()
	if err != nil {
		return nil, pathError("open", n.path, err)
	}
	return d, nil
}

func (n *named) open() (*dir, error) {
	fd, err := -1, error(unix.ENOENT)
	if !n.lost {
		fd, err = openDirectory(unix.AT_FDCWD, n.path, 0)
	}
	if err != nil && n.relative != "" && n.stillThere() {
		fd, err = openDirectory(unix.AT_FDCWD, n.relative, 0)
	}
	if err != nil {
		return nil, err
	}
	return &dir{path: n.path, prefix: n.prefix, handle: handle{fd, n}, memory: &n.memory}, nil
}

// in does an operation in the directory that has the name now.
func in[T any](n *named, op, path string, do func(d *dir) (T, error)) (T, error) {
	d, err := n.open()
	if err != nil {
		var none T
		return none, pathError(op, path, err)
	}
	defer d.Close()
	return do(d)
}

func (n *named) Path() string { return n.path }

func (n *named) Create(name string, data []byte) (fsys.File, error) {
	return in(n, "create", n.prefix+name, func(d *dir) (fsys.File, error) {
		f, err := d.Create(name, data)
		if err != nil {
			return nil, err
		}
		return &namedFile{f.(*osFile), n}, nil
	})
}

func (n *named) Read(name string) (fsys.Snapshot, error) {
	return in(n, "read", n.prefix+name, func(d *dir) (fsys.Snapshot, error) { return d.Read(name) })
}

// Peek goes by the path, and opens no directory.
func (n *named) Peek(name string) (fsys.Snapshot, error) {
	path := n.pathOf(name)
	if n.lost {
		return fsys.Snapshot{}, pathError("peek", path, errors.ErrUnsupported)
	}
	if !validName(name) {
		return fsys.Snapshot{}, pathError("peek", path, fs.ErrInvalid)
	}
	s, err := peek(path)
	if err != nil {
		return fsys.Snapshot{}, pathError("peek", path, err)
	}
	return s, nil
}

func (n *named) Replace(oldname, newname string) error {
	_, err := in(n, "replace", n.prefix+newname, func(d *dir) (struct{}, error) {
		return struct{}{}, d.Replace(oldname, newname)
	})
	return err
}

func (n *named) Remove(name string) error {
	_, err := in(n, "remove", n.prefix+name, func(d *dir) (struct{}, error) {
		return struct{}{}, d.Remove(name)
	})
	return err
}

func (n *named) List(prefix string) ([]string, error) {
	return in(n, "list", n.path, func(d *dir) ([]string, error) { return d.List(prefix) })
}

func (n *named) Witnesses() (fsys.Witness, error) {
	return in(n, "create", n.path, (*dir).Witnesses)
}

func (n *named) Locate() (fsys.Location, error) {
	return in(n, "locate", n.path, (*dir).Locate)
}

func (n *named) Sweep() error {
	_, err := in(n, "sweep", n.path, func(d *dir) (struct{}, error) { return struct{}{}, d.Sweep() })
	return err
}

func (n *named) Watch(name string) (changed <-chan struct{}, stop func(), err error) {
	d, err := n.open()
	if err != nil {
		return nil, nil, pathError("watch", n.prefix+name, err)
	}
	defer d.Close()
	return d.Watch(name)
}

// namedFile is a file that was created by the directory's name, and is looked
// for by it.
type namedFile struct {
	*osFile
	n *named
}

func (f *namedFile) Intact(name string) (bool, error) {
	ok, err := in(f.n, "intact", f.n.prefix+name, func(d *dir) (bool, error) {
		return f.checkIntact(d, name)
	})
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) { // The directory is gone.
		return false, nil
	}
	return ok, err
}

// Place is Intact: the file is where its directory's name leads, or nowhere.
func (f *namedFile) Place(name string) (fsys.Place, error) {
	return fsys.PlaceOf(struct{ fsys.File }{f}, name)
}
