//go:build darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd || solaris || windows

package fsys_test

import (
	"io/fs"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dirlock/dirlock/fsys"
)

func TestOSRoundTrip(t *testing.T) {
	dir := t.TempDir()
	d, err := fsys.OS().Dir(dir)
	require.NoError(t, err)
	yes, err := fsys.Witnesses(d)
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
