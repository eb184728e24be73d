package memfs

import (
	"errors"
	"io/fs"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/dirlock/dirlock/fsys"
)

// files is what the mounts of one file system share.
type files struct {
	mu     sync.Mutex // held for the whole of every operation
	root   *node
	last   uint64 // number of the last file or change
	mounts int
	before func(Op) error

	open map[any]view // what is open, and by whom

	late []func() // requests that have not arrived yet
}

// node is a file of any kind.
type node struct {
	ino     uint64
	change  uint64      // of name or data, the last one
	mode    fs.FileMode // the type
	data    []byte
	target  string // of a symbolic link
	locks   []*flock
	watches []*watch
	leased  bool  // it hangs on a lease
	creator *file // who has the lease

	// Of a directory:
	entries map[string]*node
	conf    *config // if it is not that of the disk
	covered *node   // what was at the place that this is mounted on
	removed bool
}

// flock is a lock that a process has on a file, by way of a mount. It ends with
// the process.
type flock struct {
	holder view
	mount  *config
	kind   fsys.Witness
}

func newFiles() *files {
	f := &files{mounts: 1, open: map[any]view{}}
	f.root = f.newNode(fs.ModeDir)
	return f
}

func (f *files) newNode(mode fs.FileMode) *node {
	n := &node{ino: f.next(), mode: mode}
	n.change = n.ino
	if mode.IsDir() {
		n.entries = map[string]*node{}
	}
	return n
}

func (f *files) next() uint64 { f.last++; return f.last }

var errLinks = errors.New("too many symbolic links")

// maxLinks is how many symbolic links one path may go through.
const maxLinks = 40

// find follows a path that is clean, and the symbolic links in it.
func (f *files) find(name string) (*node, error) {
	n, at, links := f.root, "/", 0
	for rest := strings.Trim(name, "/"); rest != ""; {
		var part string
		part, rest, _ = strings.Cut(rest, "/")
		if !n.mode.IsDir() {
			return nil, syscall.ENOTDIR
		}
		next := n.entries[part]
		if next == nil {
			return nil, fs.ErrNotExist
		}
		if next.mode&fs.ModeSymlink == 0 {
			n, at = next, path.Join(at, part)
			continue
		}
		if links++; links > maxLinks {
			return nil, errLinks
		}
		target := next.target
		if !path.IsAbs(target) {
			target = path.Join(at, target)
		}
		n, at, rest = f.root, "/", strings.Trim(path.Join(target, rest), "/")
	}
	return n, nil
}

// findDir follows a path to a directory.
func (f *files) findDir(name string) (*node, error) {
	n, err := f.find(name)
	if err == nil && !n.mode.IsDir() {
		return nil, syscall.ENOTDIR
	}
	return n, err
}

// mkdirAll makes a directory, and those above it, unless they exist.
func (f *files) mkdirAll(name string) error {
	n := f.root
	for name != "/" {
		var part string
		part, name = cutFirst(name)
		next := n.entries[part]
		if next == nil {
			next = f.newNode(fs.ModeDir)
			next.conf = n.conf
			f.put(n, part, next)
		}
		if !next.mode.IsDir() {
			return fs.ErrExist
		}
		n = next
	}
	return nil
}

// put gives a file a name, and takes the name from another one, if there is one.
func (f *files) put(dir *node, name string, n *node) {
	f.take(dir, name)
	dir.entries[name] = n
	n.change = f.next()
}

// take takes a name from a file.
func (f *files) take(dir *node, name string) {
	n := dir.entries[name]
	if n == nil {
		return
	}
	delete(dir.entries, name)
	n.change = f.next()
	n.wake()
}

// rename is rename(2).
func (f *files) rename(from *node, oldname string, to *node, newname string) error {
	n, there := from.entries[oldname], to.entries[newname]
	switch {
	case n == nil:
		return fs.ErrNotExist
	case n == there:
		return nil // both names stay
	case there != nil && there.mode.IsDir():
		return syscall.EISDIR
	case there != nil && n.mode.IsDir():
		return syscall.ENOTDIR
	}
	f.take(from, oldname)
	f.put(to, newname, n)
	return nil
}

// removeAll takes a name from a file, or from a directory and all that is in it.
func (f *files) removeAll(dir *node, name string) {
	n := dir.entries[name]
	if n == nil {
		return
	}
	for child := range n.entries {
		f.removeAll(n, child)
	}
	n.removed = n.mode.IsDir()
	f.take(dir, name)
}

// held returns the strongest lock on the file that a process sees, by way of a
// mount. It asks process tables, and so it is called without the mutex.
func held(locks []*flock, v view, mount *config) fsys.Witness {
	strongest := fsys.Free
	for _, l := range locks {
		if l.kind > strongest && l.mount == mount && l.holder.sameMachine(v) && !l.holder.ended() {
			strongest = l.kind
		}
	}
	return strongest
}

// valid tells whether a name is a plain file name.
func valid(name string) bool {
	return name != "" && name != "." && name != ".." &&
		!strings.ContainsAny(name, "\x00/"+string(filepath.Separator))
}

// pathError returns an error about a path with slashes.
func pathError(op, name string, err error) error {
	return &fs.PathError{Op: op, Path: filepath.FromSlash(name), Err: err}
}
