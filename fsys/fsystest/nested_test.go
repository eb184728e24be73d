package fsystest_test

import (
	"errors"
	"io/fs"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dirlock/dirlock/fsys"
	"github.com/dirlock/dirlock/fsys/fsystest"
	"github.com/dirlock/dirlock/fsys/memfs"
)

// nesting is a file system in memory that does one thing with directories in
// another way.
type nesting struct {
	fsys.FS
	open   func(d fsys.Dir, name string) (fsys.Subdir, error)
	remove func(d fsys.Dir, name string) error
	mkdir  func(d fsys.Dir, name string) error
}

func (f nesting) Dir(name string) (fsys.Dir, error) {
	d, err := f.FS.Dir(name)
	return nestingDir{d, f}, err
}

type nestingDir struct {
	fsys.Dir
	fs nesting
}

func (d nestingDir) Unwrap() fsys.Dir { return d.Dir }

func (d nestingDir) OpenDir(name string) (fsys.Subdir, error) { return d.fs.open(d.Dir, name) }
func (d nestingDir) RemoveDir(name string) error              { return d.fs.remove(d.Dir, name) }
func (d nestingDir) MakeDir(name string) error                { return d.fs.mkdir(d.Dir, name) }

// oneSub is a directory whose Create is another one.
type oneSub struct {
	fsys.Subdir
	create func(name string, data []byte) (fsys.File, error)
}

func (s oneSub) Unwrap() fsys.Dir { return s.Subdir }

func (s oneSub) Create(name string, data []byte) (fsys.File, error) { return s.create(name, data) }

func TestBrokenNesting(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*nesting)
		want   string
	}{
		"emptied": {func(f *nesting) {
			f.remove = func(d fsys.Dir, name string) error {
				if sub, err := fsys.OpenSubdir(d, name); err == nil {
					names, _ := sub.List("")
					for _, name := range names {
						_ = sub.Remove(name)
					}
				}
				return fsys.RemoveDir(d, name)
			}
		}, "rmdir of L0 succeeded"},
		"made again": {func(f *nesting) {
			f.open = func(d fsys.Dir, name string) (fsys.Subdir, error) {
				sub, err := fsys.OpenSubdir(d, name)
				return oneSub{sub, func(file string, data []byte) (fsys.File, error) {
					_ = fsys.MakeDir(d, name)
					return sub.Create(file, data)
				}}, err
			}
		}, "rmdir of L0 succeeded"},
		"exists": {func(f *nesting) {
			f.mkdir = func(d fsys.Dir, name string) error {
				if err := fsys.MakeDir(d, name); !errors.Is(err, fs.ErrExist) {
					return err
				}
				return nil
			}
		}, "mkdir of L0 succeeded"},
	} {
		t.Run(name, func(t *testing.T) {
			err := fsystest.Check(fsystest.Backend{New: func() (fsys.FS, string) {
				f := nesting{memfs.New("/dir"), fsys.OpenSubdir, fsys.RemoveDir, fsys.MakeDir}
				c.change(&f)
				return f, "/dir"
			}})
			require.ErrorContains(t, err, c.want)
		})
	}
}
