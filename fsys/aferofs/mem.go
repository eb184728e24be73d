package aferofs

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"weak"

	"github.com/spf13/afero"
	"github.com/spf13/afero/mem"

	"github.com/dirlock/dirlock/fsys"
	"github.com/dirlock/dirlock/fsys/osfs"
)

// memory is what all adapters of memory file systems share, because they may be
// of one MemMapFs, or of views of it, without knowing.
var memory = struct {
	sync.Mutex // held for the whole of every operation

	// Numbers for files, none of which is ever used again, unlike addresses.
	ids    map[weak.Pointer[mem.FileData]]uint64
	lastID uint64

	waiters map[*mem.FileData]map[chan struct{}]struct{}
}{
	ids:     map[weak.Pointer[mem.FileData]]uint64{},
	waiters: map[*mem.FileData]map[chan struct{}]struct{}{},
}

// memDir is a directory that only this process can change.
type memDir struct {
	afs  afero.Fs
	path string
}

var (
	_ fsys.Localizer = (*memDir)(nil)
	_ fsys.Watcher   = (*memDir)(nil)
	_ fsys.Maker     = (*memDir)(nil)
)

func (d *memDir) Path() string { return d.path }

// Locate says that the files are local: see [Private] for file systems other
// than MemMapFs.
func (d *memDir) Locate() (fsys.Location, error) {
	return fsys.Location{Local: true, Mount: "memory", Direct: true}, nil
}

// tempName is used by one Create at a time.
const tempName = osfs.TempPrefix + "create"

func (d *memDir) Create(name string, data []byte) (fsys.File, error) {
	memory.Lock()
	defer memory.Unlock()
	path, err := d.join(name)
	if err == nil && len(data) > fsys.MaxData {
		err = fs.ErrInvalid
	}
	if err == nil {
		_, err = d.afs.Stat(path)
	}
	if err == nil {
		return nil, pathError("create", path, fs.ErrExist)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, pathError("create", path, err)
	}
	// MemMapFs would make the missing directory.
	if err := d.check(); err != nil {
		return nil, pathError("create", path, err)
	}
	// Whoever looks without an adapter shall see the file whole, too.
	temp := filepath.Join(d.path, tempName)
	err = d.write(temp, data)
	if err == nil {
		err = d.afs.Rename(temp, path)
	}
	if err != nil {
		_ = d.afs.Remove(temp)
		return nil, pathError("create", path, err)
	}
	f := &memFile{d: d, data: bytes.Clone(data)}
	f.file, _, _ = d.lookup(path, nil)
	return f, nil
}

func (d *memDir) write(path string, data []byte) error {
	f, err := d.afs.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	n, err := f.Write(data)
	if err == nil && n < len(data) {
		err = io.ErrShortWrite
	}
	return errors.Join(err, f.Close())
}

func (d *memDir) Read(name string) (fsys.Snapshot, error) {
	memory.Lock()
	defer memory.Unlock()
	path, err := d.join(name)
	if err != nil {
		return fsys.Snapshot{}, pathError("read", path, err)
	}
	var buf [fsys.MaxData]byte
	file, n, err := d.lookup(path, buf[:])
	if err != nil {
		return fsys.Snapshot{}, pathError("read", path, err)
	}
	return fsys.Snapshot{Data: bytes.Clone(buf[:n]), ID: idOf(file)}, nil
}

func (d *memDir) Replace(oldname, newname string) error {
	memory.Lock()
	defer memory.Unlock()
	oldpath, err := d.join(oldname)
	if err != nil {
		return pathError("replace", oldpath, err)
	}
	newpath, err := d.join(newname)
	if err != nil {
		return pathError("replace", newpath, err)
	}
	renamed, _, err := d.lookup(oldpath, nil)
	if err != nil {
		return pathError("replace", oldpath, err)
	}
	replaced, _, err := d.lookup(newpath, nil)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return pathError("replace", newpath, err)
	}
	if err := d.afs.Rename(oldpath, newpath); err != nil {
		return pathError("replace", newpath, err)
	}
	wake(renamed)
	wake(replaced)
	return nil
}

func (d *memDir) Remove(name string) error {
	memory.Lock()
	defer memory.Unlock()
	path, err := d.join(name)
	if err != nil {
		return pathError("remove", path, err)
	}
	file, _, err := d.lookup(path, nil)
	if err == nil {
		err = d.afs.Remove(path)
	}
	if err != nil {
		return pathError("remove", path, err)
	}
	wake(file)
	return nil
}

// Mkdir implements [fsys.Maker].
func (d *memDir) Mkdir() error {
	memory.Lock()
	defer memory.Unlock()
	err := d.afs.MkdirAll(d.path, 0o777)
	if err == nil {
		err = d.check()
	}
	if err != nil {
		return pathError("mkdir", d.path, err)
	}
	return nil
}

func (d *memDir) List(prefix string) ([]string, error) {
	memory.Lock()
	defer memory.Unlock()
	names, err := d.list(prefix)
	if err != nil {
		return nil, pathError("list", d.path, err)
	}
	return names, nil
}

func (d *memDir) list(prefix string) ([]string, error) {
	if err := d.check(); err != nil {
		return nil, err
	}
	f, err := d.afs.Open(d.path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	all, err := f.Readdirnames(-1)
	var names []string
	for _, name := range all {
		if strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	return names, err
}

// Watch knows of what adapters change, whichever they are, and of nothing
// else. The channel is made by the caller's goroutine and no other goroutine is
// needed, so that it works in a bubble of testing/synctest.
func (d *memDir) Watch(name string) (changed <-chan struct{}, stop func(), err error) {
	memory.Lock()
	defer memory.Unlock()
	path, err := d.join(name)
	if err != nil {
		return nil, nil, pathError("watch", path, err)
	}
	file, _, err := d.lookup(path, nil)
	if err == nil && file == nil {
		err = errors.ErrUnsupported
	}
	if err != nil {
		return nil, nil, pathError("watch", path, err)
	}
	ch := make(chan struct{}, 1)
	if memory.waiters[file] == nil {
		memory.waiters[file] = map[chan struct{}]struct{}{}
	}
	memory.waiters[file][ch] = struct{}{}
	return ch, func() {
		memory.Lock()
		defer memory.Unlock()
		delete(memory.waiters[file], ch)
		if len(memory.waiters[file]) == 0 {
			delete(memory.waiters, file)
		}
	}, nil
}

func wake(file *mem.FileData) {
	for ch := range memory.waiters[file] {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}

// join returns the path of a file, and fails unless name is a plain file name.
func (d *memDir) join(name string) (string, error) {
	path := filepath.Join(d.path, name)
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "\x00/"+string(filepath.Separator)) {
		return path, fs.ErrInvalid
	}
	return path, nil
}

// check fails unless the directory is one.
func (d *memDir) check() error {
	info, err := d.afs.Stat(d.path)
	if err == nil && !info.IsDir() {
		err = syscall.ENOTDIR
	}
	return err
}

// lookup finds a regular file and reads its beginning into buf. The file data
// is nil if this is not, at the bottom, a MemMapFs.
func (d *memDir) lookup(path string, buf []byte) (file *mem.FileData, n int, err error) {
	info, err := d.afs.Stat(path)
	if err != nil {
		return nil, 0, err
	}
	if info.IsDir() {
		return nil, 0, fsys.ErrDirectory
	}
	if !info.Mode().IsRegular() {
		return nil, 0, fsys.ErrNotRegular
	}
	f, err := d.afs.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	n, err = io.ReadFull(f, buf)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return fileData(f), n, err
}

// fileData looks through the views of BasePathFs for the file itself.
func fileData(f afero.File) *mem.FileData {
	for {
		switch inner := f.(type) {
		case *mem.File:
			return inner.Data()
		case *afero.BasePathFile:
			f = inner.File
		default:
			return nil
		}
	}
}

// idOf numbers the file when it is first seen. The number is forgotten with
// the file.
func idOf(file *mem.FileData) fsys.ID {
	if file == nil {
		return fsys.ID{}
	}
	p := weak.Make(file)
	id, ok := memory.ids[p]
	if !ok {
		memory.lastID++
		id = memory.lastID
		memory.ids[p] = id
		runtime.AddCleanup(file, func(p weak.Pointer[mem.FileData]) {
			memory.Lock()
			defer memory.Unlock()
			delete(memory.ids, p)
		}, p)
	}
	return fsys.ID{id}
}

// memFile is a published file.
type memFile struct {
	d      *memDir
	data   []byte
	file   *mem.FileData // nil if this is not a MemMapFs
	closed bool
}

func (f *memFile) Intact(name string) (bool, error) {
	memory.Lock()
	defer memory.Unlock()
	path, err := f.d.join(name)
	if err == nil && f.closed {
		err = fs.ErrClosed
	}
	if err != nil {
		return false, pathError("intact", path, err)
	}
	var buf [fsys.MaxData + 1]byte // one more, to see a file that has grown
	file, n, err := f.d.lookup(path, buf[:])
	switch {
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, fsys.ErrNotRegular):
		return false, nil
	case err != nil:
		return false, pathError("intact", path, err)
	}
	return file == f.file && bytes.Equal(buf[:n], f.data), nil
}

func (f *memFile) Close() error {
	memory.Lock()
	defer memory.Unlock()
	if f.closed {
		return pathError("close", f.d.path, fs.ErrClosed)
	}
	f.closed = true
	return nil
}

// pathError says which operation failed, on what, and why. It takes apart the
// error of the file system, which says the same in its own words.
func pathError(op, path string, err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	return &fs.PathError{Op: op, Path: path, Err: err}
}
