package lock_test

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spf13/afero"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dirlock/dirlock/fsys/aferofs"
	"github.com/dirlock/dirlock/fsys/memfs"
	"github.com/dirlock/dirlock/lock"
)

func mustTryRead(t *testing.T, l *lock.DirLock, want bool) {
	t.Helper()
	ok, err := l.TryRLock()
	require.NoError(t, err)
	require.Equal(t, want, ok)
}

// backends are the file systems on which the lock can be shared.
var backends = map[string]func(t *testing.T) (dir string, opts []lock.Option){
	"os": func(t *testing.T) (string, []lock.Option) { return t.TempDir(), nil },
	"memory": func(t *testing.T) (string, []lock.Option) {
		return "/dir", []lock.Option{lock.WithFS(memfs.New("/dir"))}
	},
	"afero": func(t *testing.T) (string, []lock.Option) {
		afs := afero.NewMemMapFs()
		require.NoError(t, afs.MkdirAll("/dir", 0o755))
		return "/dir", []lock.Option{lock.WithFS(aferofs.New(afs))}
	},
	"named": func(t *testing.T) (string, []lock.Option) {
		return t.TempDir(), []lock.Option{lock.WithName("gc")}
	},
}

func TestReadersShare(t *testing.T) {
	for name, backend := range backends {
		t.Run(name, func(t *testing.T) {
			dir, opts := backend(t)
			a, b, w := lock.New(dir, opts...), lock.New(dir, opts...), lock.New(dir, opts...)
			mustTryRead(t, a, true)
			mustTryRead(t, b, true)
			mustTryRead(t, a, true)
			mustTry(t, w, false)
			mustTry(t, a, false) // no upgrade
			require.NoError(t, a.Check())
			s, err := w.Status()
			require.NoError(t, err)
			state, _ := s.State()
			assert.Equal(t, lock.Shared, state)
			assert.Len(t, s.Readers, 3)
			state, _ = s.ForReading()
			assert.Equal(t, lock.Free, state)
			require.ErrorIs(t, a.Unlock(), lock.ErrNotHeld)

			require.NoError(t, a.RUnlock())
			require.NoError(t, a.Check())
			require.NoError(t, a.RUnlock())
			require.ErrorIs(t, a.RUnlock(), lock.ErrNotHeld)
			mustTry(t, w, false)
			require.NoError(t, b.RUnlock())
			mustTry(t, w, true)
			mustTryRead(t, a, false)
			mustTryRead(t, w, false) // no downgrade
			require.NoError(t, w.Unlock())
			mustTryRead(t, a, true)
			require.NoError(t, a.RUnlock())
			s, err = w.Status()
			require.NoError(t, err)
			assert.Empty(t, s.Readers)
			if name == "os" || name == "named" {
				assert.Empty(t, names(t, dir))
			}
		})
	}
}

func TestRLocker(t *testing.T) {
	w := newWorld()
	l, _ := w.handle()
	other, _ := w.handle()
	r := l.RLocker()
	ok, err := r.TryLock()
	require.NoError(t, err)
	require.True(t, ok)
	require.NoError(t, r.Lock())
	mustTry(t, other, false)
	require.NoError(t, r.Unlock())
	r.Must().Unlock()
	require.PanicsWithError(t, r.Unlock().Error(), r.Must().Unlock)
	require.True(t, r.Must().TryLock())
	r.Must().Unlock()
	require.Empty(t, w.names())
}

// A dead reader is in nobody's way, and nor is an empty directory.
func TestReadersThatDied(t *testing.T) {
	w := newWorld()
	a, p := w.handle()
	b, q := w.handle()
	c, _ := w.handle()
	mustTryRead(t, a, true)
	mustTryRead(t, b, true)
	p.Kill()
	mustTry(t, c, false)
	q.Kill()
	s, err := c.Status()
	require.NoError(t, err)
	state, level := s.State()
	assert.Equal(t, lock.Stale, state)
	assert.Equal(t, filepath.Join(dirPath, "L0", level.Owner.ID), level.Path)
	mustTry(t, c, true)
	require.NoError(t, c.Unlock())
	require.Empty(t, w.names())

	w.Mkdir(at("L0"))
	s, err = c.Status()
	require.NoError(t, err)
	state, _ = s.State()
	assert.Equal(t, lock.Free, state)
	mustTry(t, c, true)
	require.NoError(t, c.Unlock())
	require.Empty(t, w.names())
}

// A reader takes over from a dead owner as an owner does, with all its levels.
func TestReaderTakesOver(t *testing.T) {
	for _, stack := range []string{"s", "st", "sss", "t", "s-s"} {
		t.Run(stack, func(t *testing.T) {
			w := newWorld()
			w.set(stack)
			l, _ := w.handle()
			mustTryRead(t, l, true)
			require.Equal(t, []string{"L0"}, w.names())
			require.NoError(t, l.RUnlock())
			require.Empty(t, w.names())
		})
	}
	w := newWorld()
	w.set("h")
	l, _ := w.handle()
	mustTryRead(t, l, false)
	require.Equal(t, []string{"L0"}, w.names())
	w.set("f")
	_, err := l.TryRLock()
	require.ErrorIs(t, err, lock.ErrNotRecord)
}

// The time that a recovery takes, on a slow file system, is no reason to refuse the
// reader that has made it.
func TestReaderTakesOverSlowly(t *testing.T) {
	w := newWorld()
	w.set("s")
	l, _ := w.handle()
	lock.SetSince(l, func(time.Time) time.Duration { return time.Second / 2 })
	mustTryRead(t, l, true)
}

// What no reader has made is named, and stays.
func TestForeignAmongReaders(t *testing.T) {
	w := newWorld()
	w.Mkdir(at("L0"))
	w.put("L0/precious", "mine")
	l, _ := w.handle()
	_, err := l.TryLock()
	require.ErrorIs(t, err, lock.ErrNotRecord)
	var record *lock.RecordError
	require.ErrorAs(t, err, &record)
	assert.Equal(t, filepath.Join(dirPath, "L0", "precious"), record.Path)
	s, err := l.Status()
	require.NoError(t, err)
	state, level := s.State()
	assert.Equal(t, lock.Unreadable, state)
	assert.Equal(t, record.Path, level.Path)
	// It is in no reader's way.
	mustTryRead(t, l, true)
	require.NoError(t, l.RUnlock())
	assert.Equal(t, "mine", w.Entries(filepath.Join(dirPath, "L0"))["precious"].Data)
}

// What file systems leave of files that are removed while they are open goes away.
func TestLeftoversAmongReaders(t *testing.T) {
	w := newWorld()
	w.Mkdir(at("L0"))
	w.put("L0/.nfs000000000000000100000001", "")
	w.put("L0/.fuse_hidden0000000200000001", "")
	l, _ := w.handle()
	mustTry(t, l, true)
	require.NoError(t, l.Unlock())
	require.Empty(t, w.names())
}

func TestReaderLoses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		l, _ := w.handle()
		mustTryRead(t, l, true)
		first, _ := l.Owner()
		mustTryRead(t, l, true)
		held, cancel := l.Held(t.Context())
		defer cancel()
		lost := l.Lost()
		synctest.Wait()
		mustTryRead(t, l, true)
		synctest.Wait()

		// Who releases one of several holds the others.
		require.NoError(t, l.RUnlock())
		synctest.Wait()
		require.NoError(t, held.Err())

		w.rm("L0/" + first.ID)
		<-lost
		require.ErrorIs(t, l.Check(), lock.ErrLost)
		<-held.Done()
		require.NoError(t, l.RUnlock())
		require.ErrorIs(t, l.RUnlock(), lock.ErrLost)
		require.ErrorIs(t, l.RUnlock(), lock.ErrNotHeld)
		_, ok := l.Owner()
		require.False(t, ok)
	})
}

// The directory of the readers is moved away: its readers have nothing any more,
// and touch nothing.
func TestReadersMovedAway(t *testing.T) {
	w := newWorld()
	l, _ := w.handle()
	mustTryRead(t, l, true)
	w.Move(at("L0"), at("away"))
	require.ErrorIs(t, l.Check(), lock.ErrLost)
	next, _ := w.handle()
	mustTry(t, next, true)
	require.ErrorIs(t, l.RUnlock(), lock.ErrLost)
	require.NoError(t, next.Check())
	require.Len(t, w.Names(at("away")), 1)
}

func TestBreakReader(t *testing.T) {
	w := newWorld()
	a, _ := w.handle()
	b, _ := w.handle()
	admin, _ := w.handle()
	mustTryRead(t, a, true)
	mustTryRead(t, b, true)
	one, _ := a.Owner()
	require.ErrorIs(t, admin.Break(t.Context(), one.ID), lock.ErrAlive)
	require.NoError(t, admin.ForceBreak(t.Context(), one.ID))
	require.ErrorIs(t, a.RUnlock(), lock.ErrLost)
	require.NoError(t, b.Check())
	require.ErrorIs(t, admin.ForceBreak(t.Context(), one.ID), lock.ErrOtherOwner)
	two, _ := b.Owner()
	require.NoError(t, admin.ForceBreak(t.Context(), two.ID))
	require.Empty(t, w.names())
}

// A backend without directories in directories has no shared lock, and loses
// nothing else.
func TestNoNesting(t *testing.T) {
	w := newWorld(memfs.NoNesting())
	l, _ := w.handle()
	_, err := l.TryRLock()
	require.ErrorIs(t, err, errors.ErrUnsupported)
	require.Empty(t, w.names())
	mustTry(t, l, true)
	_, err = l.Status()
	require.NoError(t, err)
	require.NoError(t, l.Unlock())
}

// Whatever fails on the way leaves nothing.
func TestReaderFailures(t *testing.T) {
	for _, start := range []string{"-", "s", "ss"} {
		for n := 1; ; n++ {
			w := newWorld()
			w.set(start)
			l, _ := w.handle()
			count, failed := 0, ""
			w.before = func(op memfs.Op) error {
				if count++; count == n {
					failed = op.String()
					return errInjected
				}
				return nil
			}
			ok, err := l.TryRLock()
			w.before = nil
			if failed == "" {
				require.True(t, ok)
				break
			}
			t.Run(fmt.Sprint(start, " ", failed), func(t *testing.T) {
				if ok {
					require.NoError(t, err)
					require.NoError(t, l.RUnlock())
				} else if err != nil {
					require.ErrorIs(t, err, errInjected)
					var p *fs.PathError
					require.ErrorAs(t, err, &p)
				}
				other, _ := w.handle()
				mustTry(t, other, true)
				require.NoError(t, other.Unlock())
				for _, name := range w.names() { // the next recovery sweeps again
					require.Equal(t, "L1", name)
				}
			})
		}
	}
}
