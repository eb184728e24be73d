package aferofs_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spf13/afero"
	"github.com/stretchr/testify/require"

	"github.com/dirlock/dirlock/fsys"
	"github.com/dirlock/dirlock/fsys/aferofs"
	"github.com/dirlock/dirlock/fsys/osfs"
)

// embedding is a file system of the caller's own, which may do anything.
type embedding struct{ *afero.MemMapFs }

func TestRefused(t *testing.T) {
	memory, real := afero.NewMemMapFs(), afero.NewOsFs()
	const dir = "/dir"
	require.NoError(t, memory.MkdirAll(dir, 0o755))
	tests := map[string]struct {
		afs    afero.Fs
		reason string
	}{
		"read-only":              {afero.NewReadOnlyFs(real), "*afero.ReadOnlyFs does not promise atomic operations"},
		"copy on write":          {afero.NewCopyOnWriteFs(memory, real), "*afero.CopyOnWriteFs"},
		"cache on read":          {afero.NewCacheOnReadFs(memory, real, time.Minute), "*afero.CacheOnReadFs"},
		"regexp":                 {afero.NewRegexpFs(memory, regexp.MustCompile(`L0`)), "*afero.RegexpFs"},
		"view of read-only":      {afero.NewBasePathFs(afero.NewReadOnlyFs(real), "/"), "*afero.ReadOnlyFs"},
		"view of a view of such": {afero.NewBasePathFs(afero.NewBasePathFs(afero.NewReadOnlyFs(memory), "/"), "/"), "*afero.ReadOnlyFs"},
		"one's own":              {embedding{memory.(*afero.MemMapFs)}, "aferofs_test.embedding"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := aferofs.New(test.afs).Dir(dir)
			require.ErrorIs(t, err, errors.ErrUnsupported)
			require.ErrorContains(t, err, test.reason)
			var p *fs.PathError
			require.ErrorAs(t, err, &p)

			_, err = aferofs.New(test.afs, aferofs.Private()).Dir(dir)
			require.NoError(t, err)
		})
	}
	for name, afs := range map[string]afero.Fs{"none": nil, "nil": (*afero.MemMapFs)(nil)} {
		_, err := aferofs.New(afs).Dir(dir)
		require.ErrorContains(t, err, "no file system was given", name)
	}
	_, err := aferofs.New(memory).Dir("")
	require.ErrorIs(t, err, fs.ErrNotExist)
}

func TestVouchedReadOnly(t *testing.T) {
	d, err := aferofs.New(afero.NewReadOnlyFs(afero.NewMemMapFs()), aferofs.Private()).Dir("/")
	require.NoError(t, err)
	_, err = d.Create("L0", []byte("x"))
	require.ErrorIs(t, err, fs.ErrPermission)
	names, err := d.List("")
	require.NoError(t, err)
	require.Empty(t, names)
}

// Views of the real file system are the real file system.
func TestViewsOfTheRealOne(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "a", "b", "c"), 0o755))
	views := afero.NewBasePathFs(afero.NewBasePathFs(afero.NewOsFs(), filepath.Join(dir, "a")), "b")
	d, err := aferofs.New(views).Dir("c")
	require.NoError(t, err)
	require.Equal(t, filepath.Join(dir, "a", "b", "c"), d.Path())
	want, err := osfs.New().Dir(filepath.Join(dir, "a", "b", "c"))
	require.NoError(t, err)
	require.IsType(t, want, d)

	// Nothing leads out of a view.
	d, err = aferofs.New(views).Dir("../../../c")
	if err == nil {
		require.Equal(t, filepath.Join(dir, "a", "b", "c"), d.Path())
	}
}

func TestMemory(t *testing.T) {
	afs := afero.NewMemMapFs()
	require.NoError(t, afs.MkdirAll("/dir", 0o755))
	d, err := aferofs.New(afs).Dir("/dir")
	require.NoError(t, err)
	loc, err := fsys.Locate(d)
	require.NoError(t, err)
	local := loc.Local
	require.True(t, local)
	kind, err := fsys.Witnesses(d)
	yes := kind != fsys.NoWitness
	require.NoError(t, err)
	require.False(t, yes)

	f, err := d.Create("L0", []byte("x"))
	require.NoError(t, err)
	for _, name := range []string{"", ".", "..", "a/b", "a\x00"} {
		_, err := d.Create(name, nil)
		require.ErrorIs(t, err, fs.ErrInvalid)
		_, err = d.Read(name)
		require.ErrorIs(t, err, fs.ErrInvalid)
		require.ErrorIs(t, d.Remove(name), fs.ErrInvalid)
		require.ErrorIs(t, d.Replace(name, "L0"), fs.ErrInvalid)
		require.ErrorIs(t, d.Replace("L0", name), fs.ErrInvalid)
		_, err = f.Intact(name)
		require.ErrorIs(t, err, fs.ErrInvalid)
		_, _, err = fsys.Watch(d, name)
		require.ErrorIs(t, err, fs.ErrInvalid)
	}
	_, err = d.Create("long", make([]byte, fsys.MaxData+1))
	require.ErrorIs(t, err, fs.ErrInvalid)

	// The file has grown by a program that does not go through an adapter.
	require.NoError(t, afero.WriteFile(afs, "/dir/L0", []byte("xy"), 0o644))
	ok, err := f.Intact("L0")
	require.NoError(t, err)
	require.False(t, ok)
	require.NoError(t, f.Close())
	require.ErrorIs(t, f.Close(), fs.ErrClosed)
	require.NoError(t, afs.RemoveAll("/dir"))
	_, err = d.Create("L0", nil)
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = afs.Stat("/dir")
	require.ErrorIs(t, err, fs.ErrNotExist, "Create made the directory")
}

// MemMapFs as it is lets two goroutines create one file, which is what the
// adapter is for.
func TestCreatorsInTwoViews(t *testing.T) {
	afs := afero.NewMemMapFs()
	require.NoError(t, afs.MkdirAll("/base/dir", 0o755))
	one, err := aferofs.New(afs).Dir("/base/dir")
	require.NoError(t, err)
	two, err := aferofs.New(afero.NewBasePathFs(afs, "/base")).Dir("dir")
	require.NoError(t, err)
	for range 1000 {
		var wg sync.WaitGroup
		created := make(chan fsys.File, 2)
		for _, d := range []fsys.Dir{one, two} {
			wg.Go(func() {
				if f, err := d.Create("L0", []byte("x")); err == nil {
					created <- f
				}
			})
		}
		wg.Wait()
		require.Len(t, created, 1)
		require.NoError(t, (<-created).Close())
		require.NoError(t, two.Remove("L0"))
	}
}

func TestIdentitiesAreNotUsedAgain(t *testing.T) {
	d, err := aferofs.New(afero.NewMemMapFs()).Dir("/")
	require.NoError(t, err)
	seen := map[fsys.ID]bool{}
	for range 100 {
		f, err := d.Create("L0", nil)
		require.NoError(t, err)
		s, err := d.Read("L0")
		require.NoError(t, err)
		require.NotContains(t, seen, s.ID)
		seen[s.ID] = true
		require.NoError(t, f.Close())
		require.NoError(t, d.Remove("L0"))
		runtime.GC() // so that memory, and with it addresses, are used again
	}
}

func TestNotifyInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		afs := afero.NewMemMapFs()
		d, err := aferofs.New(afs).Dir("/")
		require.NoError(t, err)
		f, err := d.Create("L0", nil)
		require.NoError(t, err)
		another, err := aferofs.New(afero.NewBasePathFs(afs, "/")).Dir("/")
		require.NoError(t, err)
		changed, stop, err := fsys.Watch(another, "L0")
		require.NoError(t, err)
		start := time.Now()
		go func() {
			time.Sleep(time.Hour)
			_ = d.Remove("L0")
			_ = f.Close()
		}()
		<-changed
		require.Equal(t, time.Hour, time.Since(start))
		stop()
	})
}
