// Package aferofs adapts the file systems of github.com/spf13/afero to
// [fsys.FS].
//
// What a lock needs of a file system, atomic operations, is not something that
// afero's interface promises, so that it depends on what is behind it:
//
//   - [afero.OsFs], and [afero.BasePathFs] over it: the directory is handed to
//     [osfs.New], with all that it gives.
//   - [afero.MemMapFs], and BasePathFs over it: operations take turns, with
//     those of every other adapter in the process. They are atomic between
//     goroutines that all go through adapters, be they of one MemMapFs or of
//     views of it. Its files have no witness, so that only the process table tells
//     who is dead; for tests, package memfs is the better choice.
//   - Everything else, among it [afero.ReadOnlyFs], [afero.CopyOnWriteFs],
//     [afero.CacheOnReadFs] and [afero.RegexpFs], is refused with an error that
//     matches [errors.ErrUnsupported], unless the caller vouches for it: see
//     [Private].
package aferofs

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"reflect"

	"github.com/spf13/afero"

	"github.com/dirlock/dirlock/fsys"
	"github.com/dirlock/dirlock/fsys/osfs"
)

// Option changes what New returns.
type Option func(*adapter)

// Private vouches for a file system that the package does not know: no other
// process can reach its files, and in this process only adapters of this
// package change those of a lock. Operations then take turns, as they do for
// afero.MemMapFs, and the lock excludes goroutines.
//
// If that is not so, two owners can hold one lock. Private changes nothing for
// the file systems that the package knows.
func Private() Option { return func(a *adapter) { a.private = true } }

// New adapts a file system. What it is, is found out by [fsys.FS.Dir].
func New(afs afero.Fs, options ...Option) fsys.FS {
	a := &adapter{afs: afs}
	for _, option := range options {
		option(a)
	}
	return a
}

type adapter struct {
	afs     afero.Fs
	private bool
}

func (a *adapter) Dir(name string) (fsys.Dir, error) {
	if name == "" {
		return nil, &fs.PathError{Op: "dir", Path: name, Err: fs.ErrNotExist}
	}
	kind, path, err := resolve(reflect.ValueOf(a.afs), name)
	switch {
	case err != nil:
		return nil, &fs.PathError{Op: "dir", Path: name, Err: err}
	case kind == osFs:
		return osfs.New().Dir(path)
	case kind == memMapFs || a.private:
		return &memDir{afs: a.afs, path: filepath.Clean(name)}, nil
	}
	err = fmt.Errorf("%s does not promise atomic operations: %w", kind, errors.ErrUnsupported)
	return nil, &fs.PathError{Op: "dir", Path: name, Err: err}
}

var (
	osFs       = reflect.TypeFor[*afero.OsFs]()
	memMapFs   = reflect.TypeFor[*afero.MemMapFs]()
	basePathFs = reflect.TypeFor[*afero.BasePathFs]()
)

// resolve returns the type of file system that is at the bottom of any number
// of BasePathFs, and the path that it would be given for name. BasePathFs hides
// what it stands on: this reads its fields "source" and "path", and if they are
// not there one day, returns BasePathFs itself, which is refused.
//
// A type is known only as a pointer, just as the constructors make it, so that
// a type of the caller's that embeds one is unknown.
func resolve(afs reflect.Value, name string) (kind reflect.Type, path string, err error) {
	for {
		if afs.Kind() == reflect.Interface {
			afs = afs.Elem()
		}
		if !afs.IsValid() || afs.Kind() == reflect.Pointer && afs.IsNil() {
			return nil, "", errors.New("no file system was given")
		}
		if afs.Type() != basePathFs {
			return afs.Type(), name, nil
		}
		source, base := afs.Elem().FieldByName("source"), afs.Elem().FieldByName("path")
		if source.Kind() != reflect.Interface || base.Kind() != reflect.String {
			return afs.Type(), name, nil
		}
		view := afero.NewBasePathFs(nil, base.String()).(*afero.BasePathFs)
		if name, err = view.RealPath(name); err != nil {
			return nil, "", err
		}
		afs = source
	}
}
