package osfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/dirlock/dirlock/fsys"
)

// Each system provides, in the files that bear its name or a build constraint:
//
//	supported bool                    whether it can do any of this
//	held bool                         whether a dir is one directory for good, or goes by its path
//	newDir(name) (fsys.Dir, error)    the directory of that name, fixed against the working directory
//	handle                            by which an open directory is held; it has close()
//	(*dir).create(name, data)         a file that appears whole, under a name that is free
//	(*dir).read(name)                 data, identity and witness, without following or blocking
//	(*dir).replace(oldname, newname)  in one step
//	(*dir).remove(name)               frees the name at once
//	(*dir).entries() (*os.File, error)  for the names in the directory
//	(*dir).witnesses()                what Read will tell of a file while it is open here
//	(*dir).locate()                   asks, always
//	(*dir).sweepFile(name)            removes it unless a living process has it locked
//	(*dir).Watch(name)
//	(*osFile).intactIn(d, name), (*osFile).Close()
//
// All take names that were found valid, and return errors without a path. None
// returns an error for something that it did: what cannot be told from the reply
// of the system is looked at.

// dir is a directory that is open. Names are relative to its handle.
type dir struct {
	path   string // for messages, and where a system has only paths
	prefix string // path and a separator
	handle

	memory *memory

	asking sync.Mutex
	asked  atomic.Bool // known is what the answer was
	known  facts

	mu     sync.RWMutex // held for reading by each operation
	closed bool
}

// facts are what is true of an open directory as long as it is open.
type facts struct {
	fsys.Location
	id fileID
}

// fileID is the device and the number of a file or directory. While it exists,
// or is open, no other one has the same.
type fileID struct{ dev, ino uint64 }

var (
	_ fsys.Witnesser   = (*dir)(nil)
	_ fsys.Localizer   = (*dir)(nil)
	_ fsys.Watcher     = (*dir)(nil)
	_ fsys.PartSweeper = (*dir)(nil)
	_ fsys.OpenDir     = (*dir)(nil)
	_ fsys.File        = (*osFile)(nil)
)

func (d *dir) Path() string { return d.path }

// Close waits for operations that are in progress.
func (d *dir) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	err := error(fs.ErrClosed)
	if !d.closed {
		d.closed = true
		err = d.handle.close()
	}
	if err != nil {
		return pathError("close", d.path, err)
	}
	return nil
}

// begin is called before an operation uses the handle, and end after it: the
// number of a descriptor that was closed can be another directory's.
func (d *dir) begin() error {
	d.mu.RLock()
	if d.closed {
		d.mu.RUnlock()
		return fs.ErrClosed
	}
	return nil
}

func (d *dir) end() { d.mu.RUnlock() }

// beginFile is begin for an operation on a file of that name.
func (d *dir) beginFile(name string) error {
	if !validName(name) {
		return fs.ErrInvalid
	}
	return d.begin()
}

func (d *dir) Create(name string, data []byte) (fsys.File, error) {
	f, err := d.createChecked(name, data)
	if err != nil {
		return nil, pathError("create", d.prefix+name, err)
	}
	return f, nil
}

func (d *dir) createChecked(name string, data []byte) (*osFile, error) {
	if len(data) > fsys.MaxData {
		return nil, fs.ErrInvalid
	}
	if err := d.beginFile(name); err != nil {
		return nil, err
	}
	defer d.end()
	return d.create(name, data)
}

func (f *osFile) Intact(name string) (bool, error) { return f.checkIntact(f.d, name) }

// checkIntact is Intact by a name in d.
func (f *osFile) checkIntact(d *dir, name string) (bool, error) {
	err := d.beginFile(name)
	ok := false
	if err == nil {
		ok, err = f.intactIn(d, name)
		d.end()
	}
	if err != nil {
		return false, pathError("intact", d.prefix+name, err)
	}
	return ok, nil
}

func (d *dir) Read(name string) (fsys.Snapshot, error) {
	err := d.beginFile(name)
	var s fsys.Snapshot
	if err == nil {
		s, err = d.read(name)
		d.end()
	}
	if err != nil {
		return fsys.Snapshot{}, pathError("read", d.prefix+name, err)
	}
	return s, nil
}

// Replace is for local file systems. On others a rename is a rename on the
// server, as a rule, but not always for a file that somebody has open: to keep
// that one, the clients of NFS and SMB on Linux move it out of the way first
// (nfs_rename in fs/nfs/dir.c) or remove it (cifs_rename2 in
// fs/smb/client/inode.c), and so does the library of FUSE (hide_node in
// lib/fuse.c). For a moment the name is free.
func (d *dir) Replace(oldname, newname string) error {
	if err := d.replaceChecked(oldname, newname); err != nil {
		return pathError("replace", d.prefix+newname, err)
	}
	return nil
}

func (d *dir) replaceChecked(oldname, newname string) error {
	if !validName(oldname) {
		return fs.ErrInvalid
	}
	if err := d.beginFile(newname); err != nil {
		return err
	}
	defer d.end()
	facts, err := d.facts()
	if err != nil {
		return err
	}
	if !facts.Local {
		return fmt.Errorf("%w in one step where other machines may reach the directory", errors.ErrUnsupported)
	}
	return d.replace(oldname, newname)
}

func (d *dir) Remove(name string) error {
	err := d.beginFile(name)
	if err == nil {
		err = d.remove(name)
		d.end()
	}
	if err != nil {
		return pathError("remove", d.prefix+name, err)
	}
	return nil
}

// listBatch is how many names List reads at once: a directory can hold
// millions, of which it keeps those that were asked for.
const listBatch = 256

func (d *dir) List(prefix string) ([]string, error) {
	names, err := d.list(prefix)
	if err != nil {
		return nil, pathError("list", d.path, err)
	}
	return names, nil
}

func (d *dir) list(prefix string) ([]string, error) {
	if err := d.begin(); err != nil {
		return nil, err
	}
	defer d.end()
	return d.listOpen(prefix, math.MaxInt)
}

// listOpen is list between begin and end.
func (d *dir) listOpen(prefix string, most int) ([]string, error) {
	f, err := d.entries()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readNames(f, prefix, most)
}

// readNames looks at no more than most names.
func readNames(f *os.File, prefix string, most int) ([]string, error) {
	var names []string
	for {
		batch, err := f.Readdirnames(min(most, listBatch))
		most -= len(batch)
		for _, name := range batch {
			if strings.HasPrefix(name, prefix) {
				names = append(names, strings.Clone(name))
			}
		}
		if err == io.EOF || err == nil && most == 0 {
			return names, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

func (d *dir) Witnesses() (fsys.Witness, error) {
	err := d.begin()
	kind := fsys.NoWitness
	if err == nil {
		kind, err = d.witnesses()
		d.end()
	}
	if err != nil {
		// It was a file to try this on that could not be made.
		return fsys.NoWitness, pathError("create", d.path, err)
	}
	return kind, nil
}

// Locate asks once for each time that the directory is opened: no mount comes
// over a directory that is open.
func (d *dir) Locate() (fsys.Location, error) {
	err := d.begin()
	var known *facts
	if err == nil {
		known, err = d.facts()
		d.end()
	}
	if err != nil {
		return fsys.Location{}, pathError("locate", d.path, err)
	}
	return known.Location, nil
}

func (d *dir) facts() (*facts, error) {
	if d.asked.Load() {
		return &d.known, nil
	}
	d.asking.Lock()
	defer d.asking.Unlock()
	f, err := d.locate()
	if err != nil {
		return nil, err
	}
	if assumed := d.memory.assumed.local; assumed != nil {
		f.Local = *assumed
	}
	if !held {
		return &f, nil
	}
	if !d.asked.Load() {
		d.known = f
		d.asked.Store(true)
	}
	return &d.known, nil
}

// Sweep tells the living from the dead by the lock that a temporary file's
// creator has on it. Where the file system has no such locks, nothing can be
// told, and nothing is removed. Where files were created without temporary ones,
// there is nothing to look for: the directory may be large.
func (d *dir) Sweep() error { return d.SweepPart(math.MaxInt) }

// SweepPart is Sweep for the first names that the system lists.
func (d *dir) SweepPart(most int) error {
	if err := d.begin(); err != nil {
		return pathError("sweep", d.path, err)
	}
	defer d.end()
	if a, err := d.abilities(); err == nil && a.unnamed.Load() {
		return nil
	}
	names, err := d.listOpen(TempPrefix, max(most, 1))
	if err != nil {
		return pathError("sweep", d.path, err)
	}
	var errs []error
	for _, name := range names {
		if !isTemp(name) {
			continue
		}
		if err := d.sweepFile(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, pathError("sweep", d.prefix+name, err))
		}
	}
	return errors.Join(errs...)
}
