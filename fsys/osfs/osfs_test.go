//go:build darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd || solaris || windows

package osfs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dirlock/dirlock/fsys"
	"github.com/dirlock/dirlock/fsys/osfs"
	"github.com/dirlock/dirlock/internal/testutil/wine"
)

func TestOSRoundTrip(t *testing.T) {
	dir := t.TempDir()
	d, err := osfs.New().Dir(dir)
	require.NoError(t, err)
	kind, err := fsys.Witnesses(d)
	yes := kind != fsys.NoWitness
	require.NoError(t, err)
	require.True(t, yes)

	f, err := d.Create("L0", []byte("one"))
	require.NoError(t, err)
	_, err = d.Create("L0", []byte("two"))
	require.ErrorIs(t, err, fs.ErrExist)
	s, err := d.Read("L0")
	require.NoError(t, err)
	require.Equal(t, "one", string(s.Data))
	require.Equal(t, fsys.Held, s.Witness)
	intact, err := f.Intact("L0")
	require.NoError(t, err)
	require.True(t, intact)
	require.NoError(t, os.WriteFile(dir+"/L0", []byte("two"), 0o644))
	intact, err = f.Intact("L0")
	require.NoError(t, err)
	require.False(t, intact)
	require.NoError(t, d.Replace("L0", "L1"))
	names, err := d.List("L")
	require.NoError(t, err)
	require.Equal(t, []string{"L1"}, names)
	require.NoError(t, f.Close())
	s, err = d.Read("L1")
	require.NoError(t, err)
	require.Equal(t, fsys.Free, s.Witness)
	require.NoError(t, d.Remove("L1"))
	_, err = d.Read("L1")
	require.ErrorIs(t, err, fs.ErrNotExist)
}

// A path names the directory that the system finds by it, and goes on naming
// that one when its links change.
func TestOSResolve(t *testing.T) {
	wine.Skip(t, "version 8 reports symbolic links as made that it does not make")
	base, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	for _, dir := range []string{"real/inner", "real/data", "data"} {
		require.NoError(t, os.MkdirAll(filepath.Join(base, dir), 0o755))
	}
	if err := os.Symlink(filepath.Join("real", "inner"), filepath.Join(base, "link")); err != nil {
		t.Skip("no symbolic links: ", err)
	}
	data := filepath.Join(base, "real", "data")
	if runtime.GOOS == "windows" { // where ".." takes back the link
		data = filepath.Join(base, "data")
	}
	up := func(elem ...string) string { return strings.Join(elem, string(filepath.Separator)) }
	tests := []struct{ name, want string }{
		{up(base, "link"), filepath.Join(base, "real", "inner")},
		{up(base, "link", "..", "data"), data},
		{up(base, "link", "", ""), filepath.Join(base, "real", "inner")},
		// What is missing stays, what exists is followed.
		{up(base, "link", "new", ".", "newer", ""), filepath.Join(base, "real", "inner", "new", "newer")},
		{up(base, "link", "..", "data", "new"), filepath.Join(data, "new")},
		{up(base, "new", "..", "data"), filepath.Join(base, "data")},
	}
	for _, tt := range tests {
		d, err := osfs.New().Dir(tt.name)
		require.NoError(t, err)
		require.Equal(t, tt.want, d.Path(), tt.name)
	}

	t.Chdir(filepath.Join(base, "link")) // $PWD names the link
	for name, want := range map[string]string{
		".":                         filepath.Join(base, "real", "inner"),
		"new":                       filepath.Join(base, "real", "inner", "new"),
		filepath.Join("..", "data"): data,
	} {
		d, err := osfs.New().Dir(name)
		require.NoError(t, err)
		require.Equal(t, want, d.Path(), name)
	}
}
