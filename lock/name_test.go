package lock_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dirlock/dirlock/fsys"
	"github.com/dirlock/dirlock/fsys/fsystest"
	"github.com/dirlock/dirlock/fsys/memfs"
	"github.com/dirlock/dirlock/fsys/osfs"
	"github.com/dirlock/dirlock/internal/testutil/wine"
	"github.com/dirlock/dirlock/lock"
	"github.com/dirlock/dirlock/proc"
	"github.com/dirlock/dirlock/proc/proctest"
)

var lockNames = []string{"", ".gc", ".gc-2", "gc", "gc2"}

// Locks of other names are other locks, each with files of its own.
func TestNames(t *testing.T) {
	dir := t.TempDir()
	var held []*lock.DirLock
	for _, name := range lockNames {
		l := lock.New(dir, lock.WithName(name))
		mustTry(t, l, true)
		mustTry(t, lock.New(dir, lock.WithName(name)), false)
		held = append(held, l)
	}
	require.ElementsMatch(t, []string{"L0", ".gc.L0", ".gc-2.L0", "gc.L0", "gc2.L0"}, names(t, dir))
	mustTry(t, lock.New(dir), false)

	all, err := lock.StatusAll(dir)
	require.NoError(t, err)
	require.Len(t, all, len(lockNames))
	for i, s := range all {
		require.Equal(t, lockNames[i], s.Name)
		require.Equal(t, dir, s.Dir)
		state, level := s.State()
		owner, _ := held[i].Owner()
		require.Equal(t, lock.Held, state)
		require.Equal(t, owner.ID, level.Owner.ID)
		require.FileExists(t, level.Path)
	}

	for i, l := range held {
		require.NoError(t, l.Check())
		require.NoError(t, l.Unlock())
		require.ErrorIs(t, l.Unlock(), lock.ErrNotHeld)
		require.Len(t, names(t, dir), len(held)-i-1)
	}
	all, err = lock.StatusAll(dir)
	require.NoError(t, err)
	require.Empty(t, all)

	missing := filepath.Join(dir, "missing")
	_, err = lock.StatusAll(missing)
	wantError(t, err, "status", missing, fs.ErrNotExist)
}

// What messages say of a lock names it.
func TestNameInMessages(t *testing.T) {
	dir := t.TempDir()
	l := lock.New(dir, lock.WithName("gc"))
	require.Equal(t, "lock gc of "+dir, l.String())
	require.Equal(t, fmt.Sprintf(`lock.New(%q, lock.WithName("gc"))`, dir), l.GoString())
	require.NoError(t, l.Lock())
	var held *lock.HeldError
	require.ErrorAs(t, l.LockNow(), &held)
	require.Equal(t, "gc", held.Name)
	require.Equal(t, filepath.Join(dir, "gc.L0"), held.Level.Path)
	held.Level.State = proc.Unknown
	require.Contains(t, held.Error(), "dirlock break --name gc --owner "+held.Owner().ID+" "+dir)
	require.NoError(t, l.Unlock())

	require.NoError(t, os.WriteFile(filepath.Join(dir, "gc.L0"), []byte("data"), 0o666))
	var foreign *lock.RecordError
	require.ErrorAs(t, l.LockNow(), &foreign)
	require.Equal(t, filepath.Join(dir, "gc.L0"), foreign.Path)
}

func TestInvalidNames(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{
		".", "..", "a.b", "gc.", "..gc", "a/b", "../gc", `a\b`, "a b", "GC", "gç", "-gc", "_gc", "a\n", "\x00", "L0",
		"con", "nul", "com1", strings.Repeat("x", 65),
	} {
		l := lock.New(dir, lock.WithName(name))
		_, err := l.TryLock()
		require.ErrorContains(t, err, "is no name of a lock", name)
		_, err = l.Status()
		require.Error(t, err)
	}
	require.Empty(t, names(t, dir))
	for _, name := range []string{"0", "x", ".x", "a-b_c", ".con", "console", strings.Repeat("x", 64)} {
		l := lock.New(dir, lock.WithName(name))
		require.NoError(t, l.LockNow(), name)
		require.NoError(t, l.Unlock())
	}
}

// All that a backend can do it can do under a name.
func TestNamesKeepAbilities(t *testing.T) {
	const paths = "paths in errors have the real name of the file"
	for name, f := range map[string]func() (fsys.FS, string){
		"disk":   func() (fsys.FS, string) { return osfs.New(), t.TempDir() },
		"memory": func() (fsys.FS, string) { return memfs.New(dirPath), dirPath },
	} {
		t.Run(name, func(t *testing.T) {
			skip := map[string]string{"errors": paths, "hostile names": paths, "prepare": paths, "watch": paths, "nested": paths, "nested hostile": paths}
			if wine.Here() {
				const open = "wine: version 8 does not remove or replace a file that is open"
				skip["replace"], skip["replace is atomic"] = open, open
			}
			fsystest.Run(t, fsystest.Backend{
				New:  func() (fsys.FS, string) { fs, dir := f(); return lock.Prefixed(fs, "gc."), dir },
				Skip: skip,
			})
		})
	}
}

// The dead owner of one lock is replaced without a look at the others. A waiter
// wakes by the events of its own lock.
func TestNamesAreIndependent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk, procs := newWaitDisk(), proctest.NewFake()
		p, b := procs.Start("a"), procs.Start("b")
		plain, gc := disk.process(p), disk.process(p, lock.WithName("gc"))
		require.NoError(t, plain.Lock())
		require.NoError(t, gc.Lock())
		before := disk.Entries(dirPath)["L0"]

		waiter := disk.process(b, lock.WithName("gc"))
		took := waitFor(t, waiter)
		require.Equal(t, 1, disk.Usage().Prepared)
		require.Equal(t, 1, disk.Usage().Watches)
		time.Sleep(time.Hour)
		start := time.Now()
		require.NoError(t, gc.Unlock())
		require.Equal(t, time.Since(start)+time.Hour, took(), "at the release")
		require.NoError(t, plain.Check())

		lost := waiter.Lost()
		p.Kill()
		require.False(t, isClosed(lost))
		other := disk.process(procs.Start("c"), lock.WithName("other"))
		require.NoError(t, other.LockNow())
		require.Equal(t, before, disk.Entries(dirPath)["L0"], "a dead owner of another lock stays")

		b.Kill()
		c := disk.process(procs.Start("c"), lock.WithName("gc"))
		require.NoError(t, c.LockNow())
		require.Equal(t, []string{"L0", "gc.L0", "other.L0"}, disk.Names(dirPath))
		require.Equal(t, before, disk.Entries(dirPath)["L0"])
		require.NoError(t, c.Unlock())
		require.NoError(t, other.Unlock())
	})
}

// Who waits for one lock does not stand in line for another.
func TestNamesHaveLinesOfTheirOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk, procs := newWaitDisk(), proctest.NewFake()
		a, b := procs.Start("a"), procs.Start("b")
		plain, gc := disk.process(a), disk.process(a, lock.WithName("gc"))
		require.NoError(t, plain.Lock())
		require.NoError(t, gc.Lock())
		waitsForPlain, waitsForGC := disk.process(b), disk.process(b, lock.WithName("gc"))
		plainTook := waitFor(t, waitsForPlain)
		got := make(chan error)
		go func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			got <- waitsForGC.LockContext(ctx)
		}()
		synctest.Wait()
		require.NoError(t, gc.Unlock())
		err := <-got
		if err == nil {
			err = waitsForGC.Unlock()
		}
		assert.NoError(t, err)
		require.NoError(t, plain.Unlock())
		plainTook()
		require.NoError(t, waitsForPlain.Unlock())
	})
}

// Breaking the lock of one name leaves the others.
func TestBreakNamed(t *testing.T) {
	wine.Skip(t, "version 8 does not remove or replace a file that is open")
	dir := t.TempDir()
	gc, plain := lock.New(dir, lock.WithName("gc")), lock.New(dir)
	require.NoError(t, gc.Lock())
	require.NoError(t, plain.Lock())
	owner, _ := gc.Owner()
	require.ErrorIs(t, plain.ForceBreak(t.Context(), owner.ID), lock.ErrOtherOwner)
	require.NoError(t, lock.New(dir, lock.WithName("gc")).ForceBreak(t.Context(), owner.ID))
	require.ErrorIs(t, gc.Unlock(), lock.ErrLost)
	require.NoError(t, plain.Check())
	require.NoError(t, plain.Unlock())
}

// A directory or a file of another program that is called L0 is in the way of the
// lock without a name only.
func TestNameBesideData(t *testing.T) {
	dir := t.TempDir()
	l0 := filepath.Join(dir, "L0")
	for name, put := range map[string]func() error{
		"directory": func() error {
			return errors.Join(os.Mkdir(l0, 0o777), os.WriteFile(filepath.Join(l0, "000001.sst"), nil, 0o666))
		},
		"data":  func() error { return os.WriteFile(l0, []byte("data"), 0o666) },
		"empty": func() error { return os.WriteFile(l0, nil, 0o666) },
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, put())
			before := tree(t, dir)
			l := lock.New(dir, lock.WithName(".gc"))
			require.NoError(t, l.LockNow())
			require.NoError(t, l.Unlock())
			require.Equal(t, before, tree(t, dir))
			if name != "empty" {
				var foreign *lock.RecordError
				require.ErrorAs(t, lock.New(dir).LockNow(), &foreign)
				require.Equal(t, before, tree(t, dir))
			}
			require.NoError(t, os.RemoveAll(l0))
		})
	}
}

// No two locks of a directory have a file in common: the name of a level file tells
// whose it is, whatever names there are.
func TestNamesShareNoFile(t *testing.T) {
	names := []string{""}
	const letters = "a0l-_"
	for _, dot := range []string{"", "."} {
		for _, a := range letters {
			names = append(names, dot+string(a))
			for _, b := range letters {
				names = append(names, dot+string(a)+string(b))
			}
		}
	}
	owners := map[string]string{}
	for _, name := range names {
		disk := memfs.New(dirPath)
		p := proctest.NewFake().Start("a")
		l := lock.New(dirPath, lock.WithName(name), lock.WithFS(disk.As(p)), lock.WithProcesses(p))
		if l.Lock() != nil { // it is no name
			continue
		}
		for _, file := range disk.Names(dirPath) {
			base, ok := strings.CutSuffix(file, "L0")
			require.True(t, ok, file)
			for level := range 20 {
				file := base + "L" + strconv.Itoa(level)
				other, taken := owners[file]
				require.False(t, taken, "%s is of %q and %q", file, other, name)
				owners[file] = name
			}
		}
	}
	require.Greater(t, len(owners), 20*20)
}

// A lock touches no file but its own, whatever it does: those of other names
// cannot notice.
func TestNamesTouchOnlyTheirFiles(t *testing.T) {
	w := newWorld()
	for _, level := range []string{"gc.L0", "gc.L1", "gc.L3", "L0", "L1", "other.L0", ".gc.L0"} {
		w.put(level, w.record(w.dead))
	}
	others := w.files()
	for name := range others {
		if strings.HasPrefix(name, "gc.") {
			delete(others, name)
		}
	}
	touched := 0
	w.before = func(op memfs.Op) error {
		for _, name := range []string{op.File, op.To} {
			if name != "" && name != "." {
				touched++
				require.True(t, strings.HasPrefix(name, "gc.L"), op.String())
			}
		}
		return nil
	}
	l, _ := w.handle(lock.WithName("gc"))
	mustTry(t, l, true) // a recovery
	_, err := l.Status()
	require.NoError(t, err)
	require.NoError(t, l.Check())
	owner, _ := l.Owner()
	other, _ := w.handle(lock.WithName("gc"))
	mustTry(t, other, false)
	require.NoError(t, other.ForceBreak(t.Context(), owner.ID))
	require.ErrorIs(t, l.Unlock(), lock.ErrLost)
	mustTry(t, other, true)
	require.NoError(t, other.Unlock())
	require.Greater(t, touched, 30)
	require.Equal(t, others, w.files())
}

// An empty L0 is what a power failure leaves of a record, and is removed, which is
// told. Programs that keep empty files of that name need a lock with a name.
func TestEmptyFileIsTorn(t *testing.T) {
	w := newWorld()
	w.put("L0", "")
	logged := &waitLog{}
	l, _ := w.handle(lock.WithLogger(slog.New(logged)))
	s, err := l.Status()
	require.NoError(t, err)
	state, level := s.State()
	require.Equal(t, lock.Stale, state)
	require.Contains(t, level.Reason, "incomplete")
	mustTry(t, l, true)
	require.Equal(t, 1, logged.count("WARN recovered"))
	require.NoError(t, l.Unlock())
	require.Empty(t, w.names())

	// Where other machines may be writing it, it stays.
	w.Set(memfs.Network())
	w.put("L0", "")
	mustTry(t, l, false)
	require.Equal(t, []string{"L0"}, w.names())
}
