package osfs

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/dirlock/dirlock/fsys"
)

// TempPrefix begins the name of every temporary file that [Dir.Create] of [OS]
// makes, where it needs any: 26 or more capital letters and digits follow.
// [Sweep] removes those of the dead, and no file with another name.
const TempPrefix = ".dirlock-"

// OS returns the real file system. All values are equal.
//
// Dir makes the path absolute and follows its symbolic links, once; a part that
// does not exist yet stays as it is. Where the system has no way at all to do
// what a [Dir] promises (Plan 9, WebAssembly), Dir fails with an error that
// matches [errors.ErrUnsupported].
//
// A Dir of OS is also a [Witnesser], a [Localizer], a [Notifier] and a
// [Sweeper]; on Unix a [Mounter], and on Linux a [Preparer]. It finds out what the
// directory's file system can do when it is first used. Between calls it holds no
// descriptor, save for what is to be closed or stopped: a [File] that carries a
// witness, what was prepared, and a watch.
func New() fsys.FS { return osFS{} }

type osFS struct{}

var (
	_ fsys.Witnesser = (*osDir)(nil)
	_ fsys.Localizer = (*osDir)(nil)
	_ fsys.Watcher   = (*osDir)(nil)
	_ fsys.Sweeper   = (*osDir)(nil)
	_ fsys.File      = (*osFile)(nil)
)

func (osFS) Dir(name string) (fsys.Dir, error) {
	if !osSupported {
		return nil, pathError("dir", name, errors.ErrUnsupported)
	}
	if name == "" {
		return nil, pathError("dir", name, fs.ErrNotExist)
	}
	path, err := resolve(name)
	if err != nil {
		return nil, pathError("dir", name, err)
	}
	prefix := path
	if !os.IsPathSeparator(prefix[len(prefix)-1]) {
		prefix += string(filepath.Separator)
	}
	return &osDir{path: path, prefix: prefix}, nil
}

// resolve makes name absolute and follows the symbolic links in the part of it
// that exists. On Unix, ".." after a link is the parent of what the link leads
// to (path_resolution(7)): filepath.Abs, which strikes out both, would name
// another directory than the system does.
func resolve(name string) (string, error) {
	if runtime.GOOS == "windows" {
		path, err := filepath.Abs(name) // there ".." is struck out by the system, too
		if err != nil {
			return "", err
		}
		name = path
	} else if !filepath.IsAbs(name) {
		wd, err := os.Getwd()
		if err != nil {
			return "", err
		}
		name = wd + string(filepath.Separator) + name
	}
	missing := ""
	for path := name; ; {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			return filepath.Join(real, missing), nil
		}
		parent, last := filepath.Split(strings.TrimRight(path, string(filepath.Separator)))
		if last == "" || last == ".." {
			return filepath.Clean(name), nil
		}
		path, missing = parent, filepath.Join(last, missing)
	}
}

// osDir is a directory of the real file system. What each system does its own
// way is in the methods that the files os_GOOS.go add: create, replace,
// witnesses and isLocal, and intact of osFile; and in the functions read, remove,
// sweep and openDir.
type osDir struct {
	path   string
	prefix string // path and a separator

	// What was found out, each an answer: unknown until asked.
	witness answer
	local   answer
	osState

	mounted   sync.Once
	mountName string
}

// answer is a yes or no that is found out once, and never changes after that.
type answer struct{ v atomic.Uint32 }

func (a *answer) known() (yes, ok bool) {
	v := a.v.Load()
	return v == 1, v != 0
}

func (a *answer) set(yes bool) {
	v := uint32(2)
	if yes {
		v = 1
	}
	a.v.Store(v)
}

func (d *osDir) Path() string { return d.path }

func (d *osDir) Create(name string, data []byte) (fsys.File, error) {
	path := d.prefix + name
	if !validName(name) || len(data) > fsys.MaxData {
		return nil, pathError("create", path, fs.ErrInvalid)
	}
	f, err := d.create(path, data)
	if err != nil {
		return nil, pathError("create", path, err)
	}
	return f, nil
}

func (f *osFile) Intact(name string) (bool, error) {
	path := f.d.prefix + name
	if !validName(name) {
		return false, pathError("intact", path, fs.ErrInvalid)
	}
	ok, err := f.intact(path)
	if err != nil {
		return false, pathError("intact", path, err)
	}
	return ok, nil
}

func (d *osDir) Read(name string) (fsys.Snapshot, error) {
	path := d.prefix + name
	if !validName(name) {
		return fsys.Snapshot{}, pathError("read", path, fs.ErrInvalid)
	}
	s, err := read(path)
	if err != nil {
		return fsys.Snapshot{}, pathError("read", path, err)
	}
	if local, ok := d.local.known(); ok && !local {
		s.ID = fsys.ID{} // A server may give a file another number or time at any moment.
	}
	return s, nil
}

// Replace is for local file systems. On others a rename is a rename on the
// server, as a rule, but not always for a file that somebody has open: to keep
// that one, the clients of NFS and SMB on Linux move it out of the way first
// (nfs_rename in fs/nfs/dir.c) or remove it (cifs_rename2 in
// fs/smb/client/inode.c), and so does the library of FUSE (hide_node in
// lib/fuse.c). For a moment the name is free.
func (d *osDir) Replace(oldname, newname string) error {
	newpath := d.prefix + newname
	if !validName(oldname) || !validName(newname) {
		return pathError("replace", newpath, fs.ErrInvalid)
	}
	local, err := d.localOnce()
	if err == nil && !local {
		err = fmt.Errorf("%w in one step where other machines may reach the directory", errors.ErrUnsupported)
	}
	if err == nil {
		err = d.replace(d.prefix+oldname, newpath)
	}
	if err != nil {
		return pathError("replace", newpath, err)
	}
	return nil
}

func (d *osDir) Remove(name string) error {
	path := d.prefix + name
	if !validName(name) {
		return pathError("remove", path, fs.ErrInvalid)
	}
	if err := remove(path); err != nil {
		return pathError("remove", path, err)
	}
	return nil
}

// listBatch is how many names List reads at once: a directory can hold
// millions, of which it keeps those that were asked for.
const listBatch = 256

func (d *osDir) List(prefix string) ([]string, error) {
	names, err := d.list(prefix)
	if err != nil {
		return nil, pathError("list", d.path, err)
	}
	return names, nil
}

func (d *osDir) list(prefix string) ([]string, error) {
	f, err := openDir(d.path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var names []string
	for {
		batch, err := f.Readdirnames(listBatch)
		for _, name := range batch {
			if strings.HasPrefix(name, prefix) {
				names = append(names, strings.Clone(name))
			}
		}
		if err == io.EOF {
			return names, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

func (d *osDir) Witnesses() (fsys.Witness, error) {
	yes, err := d.witnessesOnce()
	if err != nil || !yes {
		return fsys.NoWitness, err
	}
	return fsys.Held, nil
}

func (d *osDir) witnessesOnce() (bool, error) {
	if yes, ok := d.witness.known(); ok {
		return yes, nil
	}
	yes, err := d.witnesses()
	if err != nil {
		// It was a file to try this on that could not be made.
		return false, pathError("create", d.path, err)
	}
	d.witness.set(yes)
	return yes, nil
}

func (d *osDir) Locate() (fsys.Location, error) {
	local, err := d.localOnce()
	if err != nil {
		return fsys.Location{}, err
	}
	d.mounted.Do(func() { d.mountName = d.mount() })
	return fsys.Location{Local: local, Mount: d.mountName}, nil
}

func (d *osDir) localOnce() (bool, error) {
	if yes, ok := d.local.known(); ok {
		return yes, nil
	}
	yes, err := d.isLocal()
	if err != nil {
		return false, pathError("local", d.path, err)
	}
	d.local.set(yes)
	return yes, nil
}

// Sweep goes by the whole form of a temporary name: a file that a person called
// .dirlock-notes is none of ours. It tells the living from the dead by the lock
// that a temporary file's creator has on it. Where the file system has no such locks, nothing can be
// told, and nothing is removed.
func (d *osDir) Sweep() error {
	names, err := d.list(TempPrefix)
	if err != nil {
		return pathError("sweep", d.path, err)
	}
	var errs []error
	for _, name := range names {
		if !isTemp(name) {
			continue
		}
		path := d.prefix + name
		if err := sweep(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, pathError("sweep", path, err))
		}
	}
	return errors.Join(errs...)
}

// tempName returns the path of a temporary file that nobody else ever uses.
func (d *osDir) tempName() string { return d.prefix + TempPrefix + rand.Text() }

// isTemp reports whether name is one that tempName makes: rand.Text promises 26
// letters and digits of base 32, or more one day.
func isTemp(name string) bool {
	text, ok := strings.CutPrefix(name, TempPrefix)
	return ok && len(text) >= 26 && strings.Trim(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") == ""
}

// validName reports whether name is a plain file name.
func validName(name string) bool {
	if name == "" || name == "." || name == ".." {
		return false
	}
	for i := range len(name) {
		if name[i] == 0 || os.IsPathSeparator(name[i]) {
			return false
		}
		// What follows a colon is another stream of the same file.
		if runtime.GOOS == "windows" && name[i] == ':' {
			return false
		}
	}
	return true
}

// pathError says which operation failed, on what, and why. It takes apart the
// error of a function of package os, which says the same in its own words.
func pathError(op, path string, err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	return &fs.PathError{Op: op, Path: path, Err: err}
}
