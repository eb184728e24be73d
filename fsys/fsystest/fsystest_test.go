package fsystest_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/spf13/afero"
	"github.com/stretchr/testify/require"

	"github.com/dirlock/dirlock/fsys"
	"github.com/dirlock/dirlock/fsys/aferofs"
	"github.com/dirlock/dirlock/fsys/fsystest"
	"github.com/dirlock/dirlock/fsys/osfs"
	"github.com/dirlock/dirlock/internal/testutil/wine"
)

// onDisk is the backend of the real file system, in new directories.
func onDisk(newDir func() string) fsystest.Backend {
	b := fsystest.Backend{New: func() (fsys.FS, string) { return osfs.New(), newDir() }, Foreign: foreign}
	if wine.Here() {
		const why = "version 8 does not replace a file that is open (FileRenameInfoEx)"
		b.Skip = map[string]string{"replace": why, "replace is atomic": why, "watch": why}
	}
	return b
}

func TestOS(t *testing.T) { fsystest.Run(t, onDisk(t.TempDir)) }

// TestOSIn checks other file systems: the one in memory that Linux always has,
// and those whose directories DIRLOCK_TEST_DIRS lists.
func TestOSIn(t *testing.T) {
	dirs := filepath.SplitList(os.Getenv("DIRLOCK_TEST_DIRS"))
	if runtime.GOOS == "linux" {
		dirs = append(dirs, "/dev/shm")
	}
	for _, dir := range dirs {
		t.Run(dir, func(t *testing.T) {
			fsystest.Run(t, onDisk(func() string {
				sub, err := os.MkdirTemp(dir, "dirlock-test-")
				require.NoError(t, err)
				t.Cleanup(func() {
					// FUSE closes files a moment later, and keeps them until then.
					require.Eventually(t, func() bool { return os.RemoveAll(sub) == nil }, 10*time.Second, time.Millisecond)
				})
				return sub
			}))
		})
	}
	if len(dirs) == 0 {
		t.Skip("DIRLOCK_TEST_DIRS lists no directories")
	}
}

func TestAferoOS(t *testing.T) {
	t.Run("OsFs", func(t *testing.T) {
		b := onDisk(t.TempDir)
		b.New = func() (fsys.FS, string) { return aferofs.New(afero.NewOsFs()), t.TempDir() }
		b.Second = func(fsys.FS) fsys.FS { return osfs.New() }
		fsystest.Run(t, b)
	})
	t.Run("BasePathFs", func(t *testing.T) {
		b := onDisk(t.TempDir)
		b.Foreign = nil
		b.New = func() (fsys.FS, string) {
			dir := t.TempDir()
			require.NoError(t, os.Mkdir(filepath.Join(dir, "sub"), 0o755))
			return aferofs.New(afero.NewBasePathFs(afero.NewOsFs(), dir)), "sub"
		}
		fsystest.Run(t, b)
	})
}

// inMemory does to a memory file system what other programs do to a real one.
func inMemory(afs afero.Fs) func(kind fsystest.Kind, dir, name string) error {
	return func(kind fsystest.Kind, dir, name string) error {
		path := filepath.Join(dir, name)
		switch kind {
		case fsystest.Directory:
			return afs.Mkdir(path, 0o755)
		case fsystest.Huge:
			return afero.WriteFile(afs, path, make([]byte, 1<<20), 0o644)
		case fsystest.Overwritten:
			f, err := afs.OpenFile(path, os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			_, err = f.WriteString("foreign")
			return errors.Join(err, f.Close())
		}
		return errors.ErrUnsupported
	}
}

// memory returns a memory file system, and directories in it: a new one for
// every case of the suite.
func memory() (afs afero.Fs, newDir func() string) {
	afs = afero.NewMemMapFs()
	n := 0
	return afs, func() string {
		n++
		dir := fmt.Sprint("/view/dir", n)
		if err := afs.MkdirAll(dir, 0o755); err != nil {
			panic(err)
		}
		return dir
	}
}

func TestAferoMemory(t *testing.T) {
	t.Run("MemMapFs", func(t *testing.T) {
		afs, newDir := memory()
		fsystest.Run(t, fsystest.Backend{
			New:     func() (fsys.FS, string) { return aferofs.New(afs), newDir() },
			Second:  func(fsys.FS) fsys.FS { return aferofs.New(afs) },
			Foreign: inMemory(afs),
		})
	})
	t.Run("BasePathFs", func(t *testing.T) {
		afs, newDir := memory()
		view := afero.NewBasePathFs(afero.NewBasePathFs(afs, "/"), "/view")
		fsystest.Run(t, fsystest.Backend{
			New:     func() (fsys.FS, string) { return aferofs.New(view), filepath.Base(newDir()) },
			Second:  func(fsys.FS) fsys.FS { return aferofs.New(view) },
			Foreign: inMemory(view),
		})
	})
	t.Run("vouched for", func(t *testing.T) {
		afs, newDir := memory()
		layers := afero.NewCopyOnWriteFs(afero.NewMemMapFs(), afs)
		fsystest.Run(t, fsystest.Backend{
			New:     func() (fsys.FS, string) { return aferofs.New(layers, aferofs.Private()), newDir() },
			Foreign: inMemory(afs),
		})
	})
}
