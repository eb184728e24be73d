package world_test

import (
	"errors"
	"io/fs"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dirlock/dirlock/fsys"
	"github.com/dirlock/dirlock/internal/testutil/world"
)

func TestDir(t *testing.T) {
	w := world.New()
	a, b := w.Start("a"), w.Start("b")
	da, err := a.Dir(world.Path)
	require.NoError(t, err)
	_, err = a.Dir("/other")
	require.ErrorIs(t, err, fs.ErrNotExist)
	db, err := b.Dir(world.Path)
	require.NoError(t, err)

	f, err := da.Create("L0", []byte("one"))
	require.NoError(t, err)
	_, err = db.Create("L0", nil)
	require.ErrorIs(t, err, fs.ErrExist)
	_, err = db.Read("L1")
	require.ErrorIs(t, err, fs.ErrNotExist)
	s, err := db.Read("L0")
	require.NoError(t, err)
	assert.Equal(t, "one", string(s.Data))
	assert.Equal(t, fsys.Held, s.Witness)

	g, err := db.Create("L1", []byte("one"))
	require.NoError(t, err)
	s1, err := da.Read("L1")
	require.NoError(t, err)
	assert.NotEqual(t, s.ID, s1.ID)
	names, err := da.List("L")
	require.NoError(t, err)
	assert.Equal(t, []string{"L0", "L1"}, names)
	require.NoError(t, db.Replace("L1", "L0"))
	ok, err := f.Intact("L0")
	require.NoError(t, err)
	assert.False(t, ok, "it is another file with the same content")
	ok, err = g.Intact("L0")
	require.NoError(t, err)
	assert.True(t, ok)
	require.ErrorIs(t, da.Remove("L1"), fs.ErrNotExist)
	require.ErrorIs(t, da.Replace("L1", "L0"), fs.ErrNotExist)
	require.NoError(t, g.Close())
	s, err = da.Read("L0")
	require.NoError(t, err)
	assert.Equal(t, fsys.Free, s.Witness)
	require.NoError(t, da.Remove("L0"))
	assert.Empty(t, w.Files())
}

// The witness of a file that is gone is that of its owner.
func TestKill(t *testing.T) {
	w := world.New()
	a, b := w.Start("a"), w.Start("b")
	da, _ := a.Dir(world.Path)
	db, _ := b.Dir(world.Path)
	_, err := da.Create("L0", nil)
	require.NoError(t, err)
	_, witness, err := db.(*world.Dir).Peek("L0")
	require.NoError(t, err)
	w.Delete("L0")
	assert.Equal(t, fsys.Held, witness())
	a.Kill()
	assert.Equal(t, fsys.Free, witness())
}

func TestBefore(t *testing.T) {
	w := world.New()
	a := w.Start("a")
	d, _ := a.Dir(world.Path)
	bad := errors.New("bad")
	w.Before = func(p *world.Process, op, name string) error {
		assert.Same(t, a, p)
		if op == "create" && name == "L0" {
			return bad
		}
		return nil
	}
	_, err := d.Create("L0", nil)
	require.ErrorIs(t, err, bad)
	var pe *fs.PathError
	require.ErrorAs(t, err, &pe)
	assert.Equal(t, "create", pe.Op)
	assert.Empty(t, w.Files())
	_, err = d.Create("L1", nil)
	require.NoError(t, err)
}
