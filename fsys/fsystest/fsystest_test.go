package fsystest_test

import (
	"errors"
	"fmt"
	"os"
	"path"
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

// tempDir returns a directory of the real file system for a case of the suite.
func tempDir(t *testing.T) string {
	t.Helper()
	switch path.Base(t.Name()) {
	case "replace", "replace_is_atomic", "watch":
		wine.Skip(t, "version 8 does not replace a file that is open (FileRenameInfoEx)")
	}
	return t.TempDir()
}

func TestOS(t *testing.T) {
	fsystest.Run(t, func(t *testing.T) (fsys.FS, string) { return osfs.New(), tempDir(t) },
		fsystest.Foreign(foreign))
}

// TestOSIn checks other file systems: the one in memory that Linux always has,
// and those whose directories DIRLOCK_TEST_DIRS lists.
func TestOSIn(t *testing.T) {
	dirs := filepath.SplitList(os.Getenv("DIRLOCK_TEST_DIRS"))
	if runtime.GOOS == "linux" {
		dirs = append(dirs, "/dev/shm")
	}
	for _, dir := range dirs {
		t.Run(dir, func(t *testing.T) {
			fsystest.Run(t, func(t *testing.T) (fsys.FS, string) {
				sub, err := os.MkdirTemp(dir, "dirlock-test-")
				require.NoError(t, err)
				t.Cleanup(func() {
					// FUSE closes files a moment later, and keeps them until then.
					require.Eventually(t, func() bool { return os.RemoveAll(sub) == nil }, 10*time.Second, time.Millisecond)
				})
				return osfs.New(), sub
			}, fsystest.Foreign(foreign))
		})
	}
	if len(dirs) == 0 {
		t.Skip("DIRLOCK_TEST_DIRS lists no directories")
	}
}

func TestAferoOS(t *testing.T) {
	t.Run("OsFs", func(t *testing.T) {
		fsystest.Run(t, func(t *testing.T) (fsys.FS, string) {
			return aferofs.New(afero.NewOsFs()), tempDir(t)
		}, fsystest.Foreign(foreign), fsystest.Second(func(fsys.FS) fsys.FS { return osfs.New() }))
	})
	t.Run("BasePathFs", func(t *testing.T) {
		fsystest.Run(t, func(t *testing.T) (fsys.FS, string) {
			dir := tempDir(t)
			require.NoError(t, os.Mkdir(filepath.Join(dir, "sub"), 0o755))
			return aferofs.New(afero.NewBasePathFs(afero.NewOsFs(), dir)), "sub"
		})
	})
}

// inMemory does to a memory file system what other programs do to a real one.
func inMemory(afs afero.Fs) fsystest.Option {
	return fsystest.Foreign(func(kind fsystest.Kind, dir, name string) error {
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
	})
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
	another := func(afs afero.Fs) fsystest.Option {
		return fsystest.Second(func(fsys.FS) fsys.FS { return aferofs.New(afs) })
	}
	t.Run("MemMapFs", func(t *testing.T) {
		afs, newDir := memory()
		fsystest.Run(t, func(t *testing.T) (fsys.FS, string) { return aferofs.New(afs), newDir() },
			inMemory(afs), another(afs))
	})
	t.Run("BasePathFs", func(t *testing.T) {
		afs, newDir := memory()
		view := afero.NewBasePathFs(afero.NewBasePathFs(afs, "/"), "/view")
		fsystest.Run(t, func(t *testing.T) (fsys.FS, string) {
			return aferofs.New(view), filepath.Base(newDir())
		}, inMemory(view), another(view))
	})
	t.Run("vouched for", func(t *testing.T) {
		afs, newDir := memory()
		layers := afero.NewCopyOnWriteFs(afero.NewMemMapFs(), afs)
		fsystest.Run(t, func(t *testing.T) (fsys.FS, string) {
			return aferofs.New(layers, aferofs.Private()), newDir()
		}, inMemory(afs))
	})
}
