package lock_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dirlock/dirlock/lock"
)

// moves are what makes the name of a directory lead elsewhere. The lock is that of
// base/top/dir, where base/link is a link to base/top.
var moves = map[string]struct {
	move func(t *testing.T, base string)
	// words are in the error. If it is "moved", Unlock finds the file.
	words string
	// event: Linux tells at once.
	event bool
	// now is where the directory is.
	now string
}{
	"moved away": {func(t *testing.T, base string) {
		require.NoError(t, os.Rename(base+"/top/dir", base+"/away"))
	}, "moved", true, "/away"},
	"moved, and another made": {func(t *testing.T, base string) {
		require.NoError(t, os.Rename(base+"/top/dir", base+"/away"))
		require.NoError(t, os.Mkdir(base+"/top/dir", 0o777))
	}, "replaced", true, "/away"},
	"moved, and a file in its place": {func(t *testing.T, base string) {
		require.NoError(t, os.Rename(base+"/top/dir", base+"/away"))
		require.NoError(t, os.WriteFile(base+"/top/dir", nil, 0o666))
	}, "moved", true, "/away"},
	"moved, and a copy in its place": {func(t *testing.T, base string) {
		require.NoError(t, os.Rename(base+"/top/dir", base+"/away"))
		require.NoError(t, os.CopyFS(base+"/top/dir", os.DirFS(base+"/away")))
	}, "replaced", true, "/away"},
	"moved, and its links in its place": {func(t *testing.T, base string) {
		require.NoError(t, os.Rename(base+"/top/dir", base+"/away"))
		require.NoError(t, os.Mkdir(base+"/top/dir", 0o777))
		require.NoError(t, os.Link(base+"/away/L0", base+"/top/dir/L0"))
	}, "replaced", true, "/away"},
	"parent moved": {func(t *testing.T, base string) {
		require.NoError(t, os.Rename(base+"/top", base+"/away"))
	}, "moved", false, "/away/dir"},
	"parent moved, and another made": {func(t *testing.T, base string) {
		require.NoError(t, os.Rename(base+"/top", base+"/away"))
		require.NoError(t, os.MkdirAll(base+"/top/dir", 0o777))
	}, "replaced", false, "/away/dir"},
	"link to another": {func(t *testing.T, base string) {
		require.NoError(t, os.MkdirAll(base+"/other/dir", 0o777))
		require.NoError(t, os.Remove(base+"/link"))
		require.NoError(t, os.Symlink("other", base+"/link"))
	}, "replaced", false, "/top/dir"},
	"link to itself": {func(t *testing.T, base string) {
		require.NoError(t, os.Remove(base+"/link"))
		require.NoError(t, os.Symlink("link", base+"/link"))
	}, "moved", false, "/top/dir"},
}

// moving calls test for each move and each kind of name.
func moving(t *testing.T, test func(t *testing.T, base, name, how string)) {
	if runtime.GOOS == "windows" {
		t.Skip("a directory is not renamed while a file in it is open")
	}
	for how := range moves {
		for _, name := range []string{"absolute", "relative"} {
			t.Run(how+"/"+name, func(t *testing.T) {
				base, err := filepath.EvalSymlinks(t.TempDir())
				require.NoError(t, err)
				require.NoError(t, os.MkdirAll(base+"/top/dir", 0o777))
				require.NoError(t, os.Symlink("top", base+"/link"))
				path := base + "/link/dir"
				if name == "relative" {
					t.Chdir(base)
					path = "link/dir"
				}
				test(t, base, path, how)
			})
		}
	}
}

// The name of the directory leads elsewhere: the holder is told, and why. Unlock
// finds its file if the name leads nowhere; else it touches nothing.
func TestMovedDirectory(t *testing.T) {
	moving(t, func(t *testing.T, base, name, how string) {
		m := moves[how]
		l := lock.New(name)
		dir := base + "/link/dir"
		mustTry(t, l, true)
		require.NoError(t, l.Check())
		t.Chdir("/") // changes nothing
		require.NoError(t, l.Check())
		m.move(t, base)
		before := tree(t, base)

		err := l.Check()
		wantError(t, err, "check", dir, lock.ErrLost)
		require.ErrorContains(t, err, m.words)
		mustTry(t, lock.New(base+m.now), false)
		err = l.Unlock()
		if m.words == "moved" {
			require.NoError(t, err)
			delete(before, m.now[1:]+"/L0")
		} else {
			wantError(t, err, "unlock", dir, lock.ErrLost)
			require.ErrorContains(t, err, m.words)
		}
		require.Equal(t, before, tree(t, base))
		require.ErrorIs(t, l.Unlock(), lock.ErrNotHeld)

		// What is left is nobody's.
		next := lock.New(base + m.now)
		mustTry(t, next, true)
		require.NoError(t, next.Unlock())
		// The next acquisition is of what has the name then.
		if m.words == "moved" {
			_, err = l.TryLock()
			require.Error(t, err)
		}
	})
}

// The same for a reader as for an owner.
func TestMovedDirectoryOfAReader(t *testing.T) {
	moving(t, func(t *testing.T, base, name, how string) {
		if how == "moved, and its links in its place" {
			t.Skip("a directory has no other links")
		}
		m := moves[how]
		l := lock.New(name)
		dir := base + "/link/dir"
		mustTryRead(t, l, true)
		require.NoError(t, l.Check())
		t.Chdir("/") // changes nothing
		require.NoError(t, l.Check())
		m.move(t, base)
		before := tree(t, base)

		err := l.Check()
		wantError(t, err, "check", dir, lock.ErrLost)
		require.ErrorContains(t, err, m.words)
		mustTry(t, lock.New(base+m.now), false)
		err = l.RUnlock()
		if m.words == "moved" {
			require.NoError(t, err)
		} else {
			wantError(t, err, "runlock", dir, lock.ErrLost)
			require.ErrorContains(t, err, m.words)
			require.Equal(t, before, tree(t, base))
		}
		require.ErrorIs(t, l.RUnlock(), lock.ErrNotHeld)
	})
}

// Held tells, and why: by an event or by the next look.
func TestHeldEndsWithAMove(t *testing.T) {
	moving(t, func(t *testing.T, base, name, how string) {
		m := moves[how]
		var opts []lock.Option
		if !m.event || runtime.GOOS != "linux" {
			opts = append(opts, lock.WithoutEvents()) // then it looks every second
		}
		l := lock.New(name, opts...)
		require.NoError(t, l.Lock())
		ctx, cancel := l.Held(t.Context())
		defer cancel()
		m.move(t, base)
		select {
		case <-ctx.Done():
		case <-time.After(lock.LossBeat / 4):
			t.Fatal("not told")
		}
		require.ErrorIs(t, context.Cause(ctx), lock.ErrLost)
		require.Regexp(t, "the directory was (moved|replaced)", context.Cause(ctx)) // it may look in between
		_ = l.Unlock()
	})
}

// WithLock says that the lock was lost, although Unlock succeeds.
func TestWithLockInAMovedDirectory(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("no event tells")
	}
	dir := filepath.Join(t.TempDir(), "dir")
	require.NoError(t, os.Mkdir(dir, 0o777))
	err := lock.WithLock(t.Context(), dir, func(ctx context.Context) error {
		require.NoError(t, os.Rename(dir, dir+"-moved"))
		<-ctx.Done()
		return nil
	})
	require.ErrorIs(t, err, lock.ErrLost)
	require.ErrorContains(t, err, "moved")
	require.Len(t, tree(t, dir+"-moved"), 1, "the directory itself")
}

// A directory that comes back before anybody looks was never lost. The name may be
// another one for the same directory.
func TestMovedAndBack(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a directory is not renamed while a file in it is open")
	}
	dir := filepath.Join(t.TempDir(), "dir")
	require.NoError(t, os.Mkdir(dir, 0o777))
	l := lock.New(dir)
	mustTry(t, l, true)
	require.NoError(t, os.Rename(dir, dir+"-moved"))
	require.NoError(t, os.Symlink(dir+"-moved", dir))
	require.NoError(t, l.Check(), "the name leads there all the same")
	require.NoError(t, os.Remove(dir))
	require.ErrorIs(t, l.Check(), lock.ErrLost)
	require.NoError(t, os.Rename(dir+"-moved", dir))
	require.NoError(t, l.Check())
	require.NoError(t, l.Unlock())

	// A foreign link to the file makes it harder to tell, and changes nothing.
	mustTry(t, l, true)
	require.NoError(t, os.Link(dir+"/L0", dir+"/link"))
	require.NoError(t, l.Check())
	require.NoError(t, l.Unlock())
	require.True(t, errors.Is(func() error { _, err := os.Lstat(dir + "/L0"); return err }(), fs.ErrNotExist))
}
