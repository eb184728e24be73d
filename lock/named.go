package lock

import (
	"context"
	"os"
	"strings"

	"github.com/dirlock/dirlock/fsys"
)

// prefixed is a directory in which all names begin with a prefix that its user
// does not see. The protocol knows nothing of names of locks.
type prefixed struct {
	fsys.Dir
	prefix string
}

// prefixedOpen is prefixed for a directory that is open.
type prefixedOpen struct {
	prefixed
	close func() error
}

var (
	_ fsys.Wrapper   = prefixed{}
	_ fsys.Watcher   = prefixed{}
	_ fsys.Swapper   = prefixed{}
	_ fsys.Queuer    = prefixed{}
	_ fsys.Contexter = prefixedOpen{}
	_ fsys.Remover   = prefixedFile{}
	_ fsys.Tokener   = prefixedFile{}
	_ fsys.Ender     = prefixedFile{}
	_ fsys.Preparer  = prefixed{}
	_ fsys.Liner     = prefixed{}
	_ fsys.Opener    = prefixed{}
	_ fsys.Nester    = prefixed{}
	_ fsys.OpenDir   = prefixedOpen{}
	_ fsys.Inheritor = prefixedFile{}
	_ fsys.Placer    = prefixedFile{}
	_ fsys.Prepared  = prefixedPrepared{}
)

// withPrefix returns d, with a prefix if there is one.
func withPrefix(d fsys.Dir, prefix string) fsys.Dir {
	if prefix == "" {
		return d
	}
	return prefixed{d, prefix}
}

// Unwrap implements [fsys.Wrapper].
func (p prefixed) Unwrap() fsys.Dir { return p.Dir }

// Open implements [fsys.Opener].
func (p prefixed) Open() (fsys.OpenDir, error) {
	d, err := fsys.Open(p.Dir)
	if err != nil {
		return nil, err
	}
	return prefixedOpen{prefixed{d, p.prefix}, d.Close}, nil
}

// Close implements [fsys.OpenDir].
func (p prefixedOpen) Close() error { return p.close() }

func (p prefixed) Create(name string, data []byte) (fsys.File, error) {
	return p.file(p.Dir.Create(p.prefix+name, data))
}

func (p prefixed) file(f fsys.File, err error) (fsys.File, error) {
	if err != nil {
		return nil, err
	}
	return prefixedFile{f, p.prefix}, nil
}

func (p prefixed) Read(name string) (fsys.Snapshot, error) { return p.Dir.Read(p.prefix + name) }

func (p prefixed) Replace(oldname, newname string) error {
	return p.Dir.Replace(p.prefix+oldname, p.prefix+newname)
}

func (p prefixed) Remove(name string) error { return p.Dir.Remove(p.prefix + name) }

func (p prefixed) List(prefix string) ([]string, error) {
	names, err := p.Dir.List(p.prefix + prefix)
	for i := range names {
		names[i] = strings.TrimPrefix(names[i], p.prefix)
	}
	return names, err
}

// MakeDir implements [fsys.Nester].
func (p prefixed) MakeDir(name string) error { return fsys.MakeDir(p.Dir, p.prefix+name) }

// OpenDir implements [fsys.Nester]. The names in that directory have no prefix.
func (p prefixed) OpenDir(name string) (fsys.Subdir, error) {
	return fsys.OpenSubdir(p.Dir, p.prefix+name)
}

// RemoveDir implements [fsys.Nester].
func (p prefixed) RemoveDir(name string) error { return fsys.RemoveDir(p.Dir, p.prefix+name) }

// Watch implements [fsys.Watcher].
func (p prefixed) Watch(name string) (changed <-chan struct{}, stop func(), err error) {
	return fsys.Watch(p.Dir, p.prefix+name)
}

// Swap implements [fsys.Swapper].
func (p prefixed) Swap(name string, old fsys.Snapshot, data []byte) (fsys.File, error) {
	return p.file(fsys.Swap(p.Dir, p.prefix+name, old, data))
}

// Queue implements [fsys.Queuer].
func (p prefixed) Queue(name string) (turn <-chan struct{}, stop func(), err error) {
	return fsys.Queue(p.Dir, p.prefix+name)
}

// WithContext implements [fsys.Contexter].
func (p prefixedOpen) WithContext(ctx context.Context) fsys.Dir {
	d, ok := p.Dir.(fsys.OpenDir)
	if !ok {
		return p
	}
	d = fsys.WithContext(ctx, d)
	return prefixedOpen{prefixed{d, p.prefix}, d.Close}
}

// Line implements [fsys.Liner].
func (p prefixed) Line(name string) (fsys.Spot, error) { return fsys.Line(p.Dir, p.prefix+name) }

// Prepare implements [fsys.Preparer].
func (p prefixed) Prepare(size int) (fsys.Prepared, error) {
	ready, err := fsys.Prepare(p.Dir, size)
	if err != nil {
		return nil, err
	}
	return prefixedPrepared{ready}, nil
}

// prefixedFile is a file of a directory with that prefix.
type prefixedFile struct {
	fsys.File
	prefix string
}

func (f prefixedFile) Intact(name string) (bool, error) { return f.File.Intact(f.prefix + name) }

// Remove implements [fsys.Remover].
func (f prefixedFile) Remove(name string) (bool, error) { return fsys.Remove(f.File, f.prefix+name) }

// Token implements [fsys.Tokener].
func (f prefixedFile) Token() (uint64, bool) { return fsys.Token(f.File) }

// Ended implements [fsys.Ender].
func (f prefixedFile) Ended() <-chan struct{} { return fsys.EndOf(f.File) }

// Place implements [fsys.Placer].
func (f prefixedFile) Place(name string) (fsys.Place, error) {
	return fsys.PlaceOf(f.File, f.prefix+name)
}

// Dup implements [fsys.Inheritor].
func (f prefixedFile) Dup() (*os.File, error) { return fsys.Dup(f.File) }

// prefixedPrepared makes a file in a directory that is open, with a prefix.
type prefixedPrepared struct{ fsys.Prepared }

func (r prefixedPrepared) CreateIn(d fsys.Dir, name string, data []byte) (fsys.File, error) {
	switch p := d.(type) {
	case prefixedOpen:
		return p.file(r.Prepared.CreateIn(p.Dir, p.prefix+name, data))
	case prefixed:
		return p.file(r.Prepared.CreateIn(p.Dir, p.prefix+name, data))
	}
	return r.Prepared.CreateIn(d, name, data)
}
