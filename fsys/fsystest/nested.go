package fsystest

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"sync"

	"github.com/dirlock/dirlock/fsys"
)

// nests skips a case if the file system has no directories in directories, or does
// not claim to.
func (w *suite) nests() error {
	err := fsys.MakeDir(w.Dir, "L0")
	if errors.Is(err, errors.ErrUnsupported) {
		return errSkip
	}
	return err
}

// nested is what one process sees of a directory in the directory.
func nested(w *suite) error {
	if err := w.nests(); err != nil {
		return err
	}
	_, err := w.Read("L0")
	if err := w.wantError(err, "read", "L0", fsys.ErrDirectory); err != nil {
		return err
	}
	if !errors.Is(err, fsys.ErrNotRegular) {
		return fmt.Errorf("Read of a directory: %v does not match ErrNotRegular", err)
	}
	if err := w.wantError(fsys.MakeDir(w.Dir, "L0"), "mkdir", "L0", fs.ErrExist); err != nil {
		return err
	}
	if _, err := w.Create("L0", payload(0)); !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("Create by the name of a directory: %w", errOr(err))
	}
	if err := w.Remove("L0"); err == nil || errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("Remove of a directory: %w", errOr(err))
	}
	return w.inNested()
}

func errOr(err error) error {
	if err == nil {
		return errors.New("no error")
	}
	return err
}

// inNested makes files in it.
func (w *suite) inNested() error {
	sub, err := fsys.OpenSubdir(w.Dir, "L0")
	if err != nil {
		return err
	}
	defer sub.Close()
	if want := filepath.Join(w.Path(), "L0"); sub.Path() != want {
		return fmt.Errorf("its path is %q, and not %q", sub.Path(), want)
	}
	f, err := created(sub.Create("one", payload(1)))
	if err != nil {
		return fmt.Errorf("Create in it: %w", err)
	}
	defer f.Close()
	if _, err := sub.Create("one", payload(2)); !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("Create in it of what exists: %w", errOr(err))
	}
	other, err := w.Second(w.fs).Dir(w.dir)
	if err != nil {
		return err
	}
	again, err := fsys.OpenSubdir(other, "L0")
	if err != nil {
		return err
	}
	defer again.Close()
	s, err := again.Read("one")
	if err != nil || !bytes.Equal(s.Data, payload(1)) {
		return fmt.Errorf("Read in it by somebody else: the data is right: %v, error: %w", bytes.Equal(s.Data, payload(1)), errOr(err))
	}
	if kind, err := fsys.Witnesses(sub); err != nil || kind != fsys.NoWitness && kind != s.Witness {
		return fmt.Errorf("its files have the witness %v, and %v is promised: %v", s.Witness, kind, err)
	}
	if names, err := again.List(""); err != nil || !slices.Equal(names, []string{"one"}) {
		return fmt.Errorf("List in it: %q, %v", names, err)
	}
	if err := w.wantError(fsys.RemoveDir(other, "L0"), "rmdir", "L0", fsys.ErrNotEmpty); err != nil {
		return err
	}
	if ok, err := f.Intact("one"); !ok || err != nil {
		return fmt.Errorf("after RemoveDir of what is not empty, a file in it is intact: %v, %v", ok, err)
	}
	if ok, err := sub.Named(); !ok || err != nil {
		return fmt.Errorf("it has its name: %v, %v", ok, err)
	}
	if err := again.Remove("one"); err != nil {
		return err
	}
	if ok, err := f.Intact("one"); ok || err != nil {
		return fmt.Errorf("a file that was removed is intact: %v, %v", ok, err)
	}
	// FUSE and NFS keep a file that is open, by another name.
	if err := f.Close(); err != nil {
		return err
	}
	return w.nestedGone(sub, other)
}

// nestedGone removes the directory that others have open.
func (w *suite) nestedGone(sub fsys.Subdir, other fsys.Dir) error {
	if err := fsys.RemoveDir(other, "L0"); err != nil {
		return err
	}
	if f, err := sub.Create("two", payload(2)); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("Create in a directory that was removed: %v, %w", f, errOr(err))
	}
	if ok, err := sub.Named(); ok || err != nil {
		return fmt.Errorf("a directory that was removed has its name: %v, %v", ok, err)
	}
	if err := w.wantError(fsys.RemoveDir(w.Dir, "L0"), "rmdir", "L0", fs.ErrNotExist); err != nil {
		return err
	}
	_, err := fsys.OpenSubdir(w.Dir, "L0")
	if err := w.wantError(err, "open", "L0", fs.ErrNotExist); err != nil {
		return err
	}
	// Another one has the name.
	if err := fsys.MakeDir(w.Dir, "L0"); err != nil {
		return err
	}
	f, err := sub.Create("three", payload(3))
	if err == nil {
		_ = f.Close()
		err = other.Remove("L0") // of a directory: it must fail
		if err == nil {
			return errors.New("Remove removes a directory")
		}
		now, err := fsys.OpenSubdir(w.Dir, "L0")
		if err == nil {
			err = now.Remove("three")
			_ = now.Close()
		}
		if err != nil {
			return fmt.Errorf("Create in a directory that was removed has made a file that is nowhere: %w", err)
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("Create in a directory that was removed, and made again: %w", err)
	}
	if err := fsys.RemoveDir(w.Dir, "L0"); err != nil {
		return err
	}
	return w.empty()
}

// nestedHostile has things that are no directories.
func nestedHostile(w *suite) error {
	if err := w.nests(); err != nil {
		return err
	}
	f, err := w.Create("file", payload(0))
	if err != nil {
		return err
	}
	defer f.Close()
	names := []string{"file"}
	for _, kind := range []Kind{Symlink, DanglingLink, FIFO} {
		if err := w.Foreign(kind, w.dir, string(kind)); err == nil {
			names = append(names, string(kind))
		} else if !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
	}
	for _, name := range names {
		if err := w.wantError(fsys.MakeDir(w.Dir, name), "mkdir", name, fs.ErrExist); err != nil {
			return err
		}
		_, err := fsys.OpenSubdir(w.Dir, name)
		if err := w.wantError(err, "open", name, fsys.ErrNotDirectory); err != nil {
			return err
		}
		if err := w.wantError(fsys.RemoveDir(w.Dir, name), "rmdir", name, fsys.ErrNotDirectory); err != nil {
			return err
		}
		if all, err := w.List(name); err != nil || !slices.Contains(all, name) {
			return fmt.Errorf("%s is gone after that: %v", name, err)
		}
	}
	for _, name := range []string{"", ".", "..", "a/b", "a\x00"} {
		_, err := fsys.OpenSubdir(w.Dir, name)
		if err = errors.Join(onlyIfNil("mkdir", fsys.MakeDir(w.Dir, name)), onlyIfNil("open", err), onlyIfNil("rmdir", fsys.RemoveDir(w.Dir, name))); err != nil {
			return fmt.Errorf("of %q: %w", name, err)
		}
	}
	return nil
}

// onlyIfNil returns an error if err is none.
func onlyIfNil(op string, err error) error {
	if err == nil {
		return errors.New(op + " succeeds")
	}
	return nil
}

// nestedRace has some make files in a directory that others remove.
func nestedRace(w *suite) error {
	if err := w.nests(); err != nil {
		return err
	}
	dirs, err := w.dirs()
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	errs := make([]error, len(dirs))
	for i, d := range dirs {
		wg.Go(func() {
			for n := range rounds {
				if errs[i] = joinAndLeave(d, fmt.Sprint(i, "-", n)); errs[i] != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return w.empty()
}

// nestedOrFile has some make a directory, and others a file of the same name.
func nestedOrFile(w *suite) error {
	if err := w.nests(); err != nil {
		return err
	}
	if err := fsys.RemoveDir(w.Dir, "L0"); err != nil {
		return err
	}
	dirs, err := w.dirs()
	if err != nil {
		return err
	}
	file := func(d fsys.Dir) error {
		f, err := created(d.Create("L0", payload(0)))
		if err != nil {
			return err
		}
		return errors.Join(d.Remove("L0"), f.Close())
	}
	nest := func(d fsys.Dir) error {
		if err := fsys.MakeDir(d, "L0"); err != nil {
			return err
		}
		return fsys.RemoveDir(d, "L0")
	}
	var wg sync.WaitGroup
	errs := make([]error, len(dirs))
	for i, d := range dirs {
		do := file
		if i == 0 {
			do = nest
		}
		wg.Go(func() {
			for range 4 * rounds {
				if err := do(d); err != nil && !errors.Is(err, fs.ErrExist) && !errors.Is(err, fsys.ErrBusy) {
					errs[i] = err
					return
				}
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return w.empty()
}

// joinAndLeave makes a file in the directory, and removes it, and the directory if
// nobody else is in it.
func joinAndLeave(d fsys.Dir, name string) error {
	if err := fsys.MakeDir(d, "L0"); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	sub, err := fsys.OpenSubdir(d, "L0")
	if errors.Is(err, fs.ErrNotExist) {
		return nil // somebody has removed it
	}
	if err != nil {
		return err
	}
	defer sub.Close()
	f, err := created(sub.Create(name, payload(0)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := fsys.RemoveDir(d, "L0"); !errors.Is(err, fsys.ErrNotEmpty) {
		return fmt.Errorf("RemoveDir with a file in it: %w", errOr(err))
	}
	// It must be in the directory of that name, by every way.
	now, err := fsys.OpenSubdir(d, "L0")
	if err != nil {
		return fmt.Errorf("the directory is gone with a file in it: %w", err)
	}
	_, err = now.Read(name)
	_ = now.Close()
	ok, err2 := f.Intact(name)
	if err != nil || err2 != nil || !ok {
		return fmt.Errorf("a file in it is lost: %v, %v, %w", ok, err2, errOr(err))
	}
	if err := errors.Join(sub.Remove(name), f.Close()); err != nil {
		return err
	}
	err = fsys.RemoveDir(d, "L0")
	if err != nil && !errors.Is(err, fsys.ErrNotEmpty) && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// nestedWatch waits for a file in it.
func nestedWatch(w *suite) error {
	if err := w.nests(); err != nil {
		return err
	}
	sub, err := fsys.OpenSubdir(w.Dir, "L0")
	if err != nil {
		return err
	}
	defer sub.Close()
	f, err := created(sub.Create("one", payload(1)))
	if err != nil {
		return err
	}
	defer f.Close()
	changed, stop, err := fsys.Watch(sub, "one")
	if errors.Is(err, errors.ErrUnsupported) {
		return errSkip
	}
	if err != nil {
		return err
	}
	defer stop()
	other, err := fsys.OpenSubdir(w.Dir, "L0")
	if err != nil {
		return err
	}
	defer other.Close()
	if err := other.Remove("one"); err != nil {
		return err
	}
	return w.await(changed, "the removal of a file in a directory")
}
