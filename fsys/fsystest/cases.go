package fsystest

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dirlock/dirlock/fsys"
)

// rounds is how often a case tries what only a race shows.
const rounds = 100

var cases = []testCase{
	{"create and read", "a lock's record must come back as it was written, and be whose file it says", createAndRead},
	{"errors", "callers tell contention from failure by the error, and users must see what failed where", errorShape},
	{"name is taken", "whoever finds a level file must not damage it", nameTaken},
	{"missing directory", "a lock in a directory that is not there locks nothing, and must not make it", missingDirectory},
	{"make directory", "users of a directory that others remove must find it again, and nothing else must be harmed", makeDirectory},
	{"whole or nothing", "a record that is read half-written looks like one that a power cut tore, whose owner is dead", wholeOrNothing},
	{"one creator", "two creators of one level file are two owners of the lock", oneCreator},
	{"one remover", "who removed a level file must be able to tell", oneRemover},
	{"replace", "recovery replaces the dead owner's record with its own", replace},
	{"replace is atomic", "if the name is free for a moment, a third process takes the lock", replaceAtomic},
	{"identity", "equal torn records prove nothing, the identity of the file must", identity},
	{"intact", "a holder must learn that its lock was lost, and never remove another's", intact},
	{"list", "recovery must find the level files of the dead and nothing else", list},
	{"hostile names", "anybody can put anything there, and reading it must not hang, follow, or destroy it", hostile},
	{"nothing left", "after a failure nothing of ours may be in the directory", nothingLeft},
	{"sweep", "removing the temporary files of the dead must not make the living fail", sweep},
	{"witness", "a held witness proves that the owner lives, and a free one that it is dead", witness},
	{"no witness", "a witness that nobody promised makes dead owners live, or live ones dead", noWitness},
	{"witness probes", "probing must disturb neither the owner nor another prober", witnessProbes},
	{"open directory", "a holder must find its file in the directory that it locked, whatever the name leads to by then", openDirectory},
	{"swap", "two that find one dead owner must not both get its lock", swap},
	{"one swapper", "two that find one dead owner must not both get its lock", oneSwapper},
	{"remove if", "an owner that has lost its lock must not remove that of the next one", removeIf},
	{"token", "a resource that has seen the next owner must refuse the one before", token},
	{"context", "whoever waits with a context must get back when that is done", contexts},
	{"prepare", "what a waiter has made ready must be seen by nobody before the waiter owns the lock, and be like any other file then", prepare},
	{"watch", "a waiter that misses the release sleeps while the lock is free", watch},
	{"watch early", "the lock may be released while the waiter begins to wait", watchEarly},
	{"line", "a waiter that is woken too early finds nothing, and one that is not woken sleeps while the lock is free", line},
	{"nested", "many readers share the lock, each with a file in one directory", nested},
	{"nested hostile", "anybody can put anything there, and nothing that is elsewhere must be touched", nestedHostile},
	{"nested race", "a directory that is removed with a file in it takes a living reader's lock", nestedRace},
	{"nested or file", "the lock has an owner or readers, and never both", nestedOrFile},
	{"nested watch", "a waiter that misses the release sleeps while the lock is free", nestedWatch},
}

// aFile says whether there is a file, for a message, and shows nothing of it.
func aFile(f fsys.File) string {
	if f == nil {
		return "nil"
	}
	return "a file"
}

func payload(seed int) []byte {
	return bytes.Repeat([]byte{byte('a' + seed%26)}, 300+seed%200)
}

func createAndRead(w *suite) error {
	for i, data := range [][]byte{nil, []byte("x"), payload(1), bytes.Repeat([]byte{0, 0xff}, fsys.MaxData/2)} {
		name := fmt.Sprint("L", i)
		sent := bytes.Clone(data)
		f, err := w.Create(name, sent)
		if err != nil {
			return fmt.Errorf("Create of %d bytes: %w", len(data), err)
		}
		for i := range sent {
			sent[i]++ // It must be the data of the call, not of later.
		}
		s, err := w.Read(name)
		if err != nil || !bytes.Equal(s.Data, data) {
			return fmt.Errorf("Read of %d bytes: got %d bytes, equal: %v, error: %v", len(data), len(s.Data), bytes.Equal(s.Data, data), err)
		}
		for i := range s.Data {
			s.Data[i]++ // The caller may keep it.
		}
		if ok, err := f.Intact(name); err != nil || !ok {
			return fmt.Errorf("Intact after Create: %v, %v", ok, err)
		}
		if s, err := w.Read(name); err != nil || !bytes.Equal(s.Data, data) {
			return fmt.Errorf("second Read: not the data of Create, error: %v", err)
		}
		if err := w.Remove(name); err != nil {
			return fmt.Errorf("Remove: %w", err)
		}
		if err := f.Close(); err != nil {
			return fmt.Errorf("Close: %w", err)
		}
	}
	return w.empty()
}

// empty fails if there is anything in the directory.
func (w *suite) empty() error {
	names, err := w.List("")
	if err != nil || len(names) > 0 {
		return fmt.Errorf("the directory should be empty: %s, %v", some(names), err)
	}
	return nil
}

// some returns the first few names, for a message.
func some(names []string) string {
	const most = 5
	switch {
	case len(names) == 0:
		return "nothing"
	case len(names) <= most:
		return strings.Join(names, " ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], " "), len(names)-most)
}

// wantError checks an error of an operation on a name.
func (w *suite) wantError(err error, op, name string, want error) error {
	var p *fs.PathError
	switch {
	case err == nil:
		return fmt.Errorf("%s of %s succeeded, want an error that matches %q", op, name, want)
	case !errors.As(err, &p):
		return fmt.Errorf("%s of %s: %T (%v) is no *fs.PathError", op, name, err, err)
	case !errors.Is(err, want):
		return fmt.Errorf("%s of %s: %v does not match %q", op, name, err, want)
	case p.Op != op:
		return fmt.Errorf("%s of %s: Op is %q", op, name, p.Op)
	case p.Path != filepath.Join(w.Path(), name):
		return fmt.Errorf("%s of %s: Path is %q, not the full path", op, name, p.Path)
	}
	return nil
}

func errorShape(w *suite) error {
	_, err := w.Read("L0")
	if err := w.wantError(err, "read", "L0", fs.ErrNotExist); err != nil {
		return err
	}
	if err := w.wantError(w.Remove("L0"), "remove", "L0", fs.ErrNotExist); err != nil {
		return err
	}
	f, err := w.Create("L0", payload(0))
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = w.Create("L0", payload(1))
	if err := w.wantError(err, "create", "L0", fs.ErrExist); err != nil {
		return err
	}
	err = w.Replace("L1", "L0")
	var p *fs.PathError
	if !errors.As(err, &p) || p.Op != "replace" || !strings.HasPrefix(p.Path, w.Path()) ||
		!errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errors.ErrUnsupported) {
		return fmt.Errorf("Replace of a missing file: got %v (%T), want an *fs.PathError of replace that matches %q", err, err, fs.ErrNotExist)
	}
	if s, err := w.Read("L0"); err != nil || !bytes.Equal(s.Data, payload(0)) {
		return fmt.Errorf("Replace failed, and changed the file all the same (%v)", err)
	}
	return nil
}

func nameTaken(w *suite) error {
	f, err := w.Create("L0", payload(0))
	if err != nil {
		return err
	}
	defer f.Close()
	if g, err := w.Create("L0", payload(1)); !errors.Is(err, fs.ErrExist) || g != nil {
		return fmt.Errorf("second Create: %s, %v; want nil and an error that matches %q", aFile(g), err, fs.ErrExist)
	}
	if s, err := w.Read("L0"); err != nil || !bytes.Equal(s.Data, payload(0)) {
		return fmt.Errorf("the second Create changed the file (%v)", err)
	}
	if ok, err := f.Intact("L0"); err != nil || !ok {
		return fmt.Errorf("Intact after the second Create: %v, %v", ok, err)
	}
	return nil
}

func missingDirectory(w *suite) error {
	if w.Flat {
		return errFlat
	}
	missing := filepath.Join(w.dir, "missing")
	d, err := w.fs.Dir(missing)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return fmt.Errorf("Dir of a missing directory: %w", err)
	}
	if f, err := d.Create("L0", payload(0)); !errors.Is(err, fs.ErrNotExist) || f != nil {
		return fmt.Errorf("Create in a missing directory: %s, %v; want nil and an error that matches %q", aFile(f), err, fs.ErrNotExist)
	}
	if _, err := d.Read("L0"); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("Read in a missing directory: %v", err)
	}
	if _, err := d.List(""); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("List of a missing directory: %v", err)
	}
	f, err := w.Create("file", payload(0))
	if err != nil {
		return err
	}
	defer f.Close()
	if d, err = w.fs.Dir(filepath.Join(w.dir, "file")); err != nil {
		return nil
	}
	if g, err := d.Create("L0", payload(0)); err == nil || errors.Is(err, fs.ErrExist) || g != nil {
		return fmt.Errorf("Create with a file as the directory: %s, %v; want nil and an error that is not contention", aFile(g), err)
	}
	return nil
}

func makeDirectory(w *suite) error {
	if w.Flat {
		return errFlat
	}
	if !has[fsys.Maker](w.Dir) {
		return errSkip
	}
	d, err := w.fs.Dir(filepath.Join(w.dir, "above", "missing"))
	if err != nil {
		return fmt.Errorf("Dir of a missing directory: %w", err)
	}
	for range 2 {
		if err := fsys.Mkdir(d); err != nil {
			return fmt.Errorf("Mkdir: %w", err)
		}
		if names, err := d.List(""); len(names) > 1 || err != nil {
			return fmt.Errorf("List after Mkdir: %q, %v", names, err)
		}
		f, err := created(d.Create("L0", payload(0)))
		if errors.Is(err, fs.ErrExist) { // the second time round
			return d.Remove("L0")
		}
		if err != nil {
			return fmt.Errorf("Create after Mkdir: %w", err)
		}
		defer f.Close()
	}
	return errors.New("a second Mkdir removed what was in the directory")
}

// together runs the functions at the same time, and returns their errors.
func together(functions ...func() error) error {
	errs := make([]error, len(functions))
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i, f := range functions {
		wg.Go(func() {
			<-start
			errs[i] = f()
		})
	}
	close(start)
	wg.Wait()
	return errors.Join(errs...)
}

// while runs looker again and again until worker is done.
func while(worker, looker func() error) error {
	var done atomic.Bool
	return together(
		func() error {
			defer done.Store(true)
			return worker()
		},
		func() error {
			for !done.Load() {
				if err := looker(); err != nil {
					return err
				}
			}
			return nil
		})
}

// isPayload fails unless data is all of one payload.
func isPayload(data []byte) error {
	if len(data) >= 300 && bytes.Count(data, data[:1]) == len(data) {
		for seed := int(data[0] - 'a'); seed < 400; seed += 26 {
			if len(payload(seed)) == len(data) {
				return nil
			}
		}
	}
	return fmt.Errorf("read %d bytes that nobody wrote as a whole", len(data))
}

func wholeOrNothing(w *suite) error {
	return while(
		func() error {
			for i := range rounds {
				f, err := w.Create("L0", payload(i))
				if err != nil {
					return err
				}
				if err := w.Remove("L0"); err != nil {
					return err
				}
				if err := f.Close(); err != nil {
					return err
				}
			}
			return nil
		},
		func() error {
			s, err := w.Read("L0")
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil {
				return fmt.Errorf("Read beside Create: %w", err)
			}
			return isPayload(s.Data)
		})
}

func oneCreator(w *suite) error {
	dirs, err := w.dirs()
	if err != nil {
		return err
	}
	for range rounds {
		var won atomic.Int32
		var winner atomic.Int32
		var file fsys.File
		var creators []func() error
		for i := range 2 * len(dirs) {
			creators = append(creators, func() error {
				f, err := created(dirs[i%len(dirs)].Create("L0", payload(i)))
				if err == nil {
					if won.Add(1) == 1 {
						winner.Store(int32(i))
						file = f
					}
					return nil
				}
				if !errors.Is(err, fs.ErrExist) {
					return fmt.Errorf("a creator that lost: %w", err)
				}
				return nil
			})
		}
		if err := together(creators...); err != nil {
			return err
		}
		if won.Load() != 1 {
			return fmt.Errorf("%d creators of one name succeeded", won.Load())
		}
		s, err := w.Read("L0")
		if err != nil || !bytes.Equal(s.Data, payload(int(winner.Load()))) {
			return fmt.Errorf("the file is not the winner's (%v)", err)
		}
		if err := w.Remove("L0"); err != nil {
			return err
		}
		if err := file.Close(); err != nil {
			return err
		}
	}
	return w.empty()
}

func oneRemover(w *suite) error {
	dirs, err := w.dirs()
	if err != nil {
		return err
	}
	for range rounds {
		f, err := w.Create("L0", payload(0))
		if err != nil {
			return err
		}
		var removed atomic.Int32
		var removers []func() error
		for _, d := range dirs {
			removers = append(removers, func() error {
				err := d.Remove("L0")
				if err == nil {
					removed.Add(1)
				}
				if err != nil && !errors.Is(err, fs.ErrNotExist) {
					return err
				}
				return nil
			})
		}
		if err := together(removers...); err != nil {
			return err
		}
		if removed.Load() != 1 {
			return fmt.Errorf("%d removers of one file succeeded", removed.Load())
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	return nil
}

func replace(w *suite) error {
	old, err := w.Create("L0", payload(0))
	if err != nil {
		return err
	}
	defer old.Close()
	mine, err := w.Create("L1", payload(1))
	if err != nil {
		return err
	}
	defer mine.Close()
	if err := w.Replace("L1", "L0"); errors.Is(err, errors.ErrUnsupported) {
		for i, name := range []string{"L0", "L1"} {
			if s, err := w.Read(name); err != nil || !bytes.Equal(s.Data, payload(i)) {
				return fmt.Errorf("Replace is not supported, and changed %s all the same (%v)", name, err)
			}
		}
		return errSkip
	} else if err != nil {
		return err
	}
	if s, err := w.Read("L0"); err != nil || !bytes.Equal(s.Data, payload(1)) {
		return fmt.Errorf("the new name does not hold the new file (%v)", err)
	}
	if _, err := w.Read("L1"); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the old name is still there (%v)", err)
	}
	if ok, err := mine.Intact("L0"); err != nil || !ok {
		return fmt.Errorf("Intact of the file that was renamed: %v, %v", ok, err)
	}
	if ok, err := mine.Intact("L1"); err != nil || ok {
		return fmt.Errorf("Intact by the name that it had before: %v, %v", ok, err)
	}
	if ok, err := old.Intact("L0"); err != nil || ok {
		return fmt.Errorf("Intact of the file that was replaced: %v, %v", ok, err)
	}
	return nil
}

func replaceAtomic(w *suite) error {
	if err := w.Replace("L1", "L0"); errors.Is(err, errors.ErrUnsupported) {
		return errSkip
	}
	f, err := w.Create("L0", payload(0))
	if err != nil {
		return err
	}
	err = while(
		func() error {
			for i := range rounds {
				g, err := w.Create("L1", payload(i))
				if err != nil {
					return err
				}
				if err := w.Replace("L1", "L0"); err != nil {
					return err
				}
				if err := f.Close(); err != nil {
					return err
				}
				f = g
			}
			return nil
		},
		func() error {
			if g, err := w.Create("L0", payload(0)); !errors.Is(err, fs.ErrExist) {
				return fmt.Errorf("Create beside Replace: %s, %v: the name was free for a moment", aFile(g), err)
			}
			s, err := w.Read("L0")
			if err != nil {
				return fmt.Errorf("Read beside Replace: %w", err)
			}
			return isPayload(s.Data)
		})
	return errors.Join(err, f.Close())
}

func identity(w *suite) error {
	seen := map[fsys.ID]int{}
	for i := range rounds {
		f, err := w.Create("L0", payload(0))
		if err != nil {
			return err
		}
		one, err := w.Read("L0")
		if err != nil {
			return err
		}
		two, err := w.Read("L0")
		if err != nil {
			return err
		}
		if one.ID != two.ID {
			return fmt.Errorf("two looks at one file: %v, then %v", one.ID, two.ID)
		}
		if first, ok := seen[one.ID]; ok && one.ID != (fsys.ID{}) {
			return fmt.Errorf("file %d has the identity of file %d: %v", i, first, one.ID)
		}
		seen[one.ID] = i
		if err := errors.Join(w.Remove("L0"), f.Close()); err != nil {
			return err
		}
	}
	return nil
}

func intact(w *suite) error {
	f, err := w.Create("L0", payload(0))
	if err != nil {
		return err
	}
	if ok, err := f.Intact("L1"); err != nil || ok {
		return fmt.Errorf("Intact by another name: %v, %v", ok, err)
	}
	if err := w.Remove("L0"); err != nil {
		return err
	}
	if ok, err := f.Intact("L0"); err != nil || ok {
		return fmt.Errorf("Intact of a file that was removed: %v, %v", ok, err)
	}
	g, err := w.Create("L0", payload(1))
	if err != nil {
		return err
	}
	if ok, err := f.Intact("L0"); err != nil || ok {
		return fmt.Errorf("Intact while the name is another's: %v, %v", ok, err)
	}
	switch err := w.Foreign(Overwritten, w.dir, "L0"); {
	case err == nil:
		if ok, err := g.Intact("L0"); err != nil || ok {
			return fmt.Errorf("Intact of a file that was written over: %v, %v", ok, err)
		}
	case !errors.Is(err, errors.ErrUnsupported):
		return err
	}
	if err := errors.Join(f.Close(), g.Close()); err != nil {
		return err
	}
	if ok, err := g.Intact("L0"); err == nil || ok {
		return fmt.Errorf("Intact after Close: %v, %v; want an error, because nobody can tell any more whether it is this file", ok, err)
	}
	return w.Remove("L0")
}

func list(w *suite) error {
	var want []string
	for i := range 300 { // more than one batch of a directory's entries
		name := fmt.Sprint("L", i)
		if i%3 == 0 {
			name = fmt.Sprint("other", i)
		} else {
			want = append(want, name)
		}
		f, err := w.Create(name, []byte("x"))
		if err != nil {
			return err
		}
		defer f.Close()
	}
	if w.Foreign(Directory, w.dir, "Ldirectory") == nil {
		want = append(want, "Ldirectory")
	}
	got, err := w.List("L")
	if err != nil {
		return err
	}
	lacks := func(names, of []string) []string {
		return slices.DeleteFunc(slices.Clone(of), func(name string) bool { return slices.Contains(names, name) })
	}
	if missing, extra := lacks(got, want), lacks(want, got); len(missing) > 0 || len(extra) > 0 || len(got) != len(want) {
		return fmt.Errorf("List of %q: %d names, want %d; missing: %s; should not be there: %s", "L", len(got), len(want), some(missing), some(extra))
	}
	if all, err := w.List(""); err != nil || len(all) < 300 {
		return fmt.Errorf("List of all: %d names, %v", len(all), err)
	}
	return nil
}

func hostile(w *suite) error {
	made := 0
	for i, kind := range append(slices.Clone(irregular), Huge) {
		name := fmt.Sprint("L", i)
		err := w.Foreign(kind, w.dir, name)
		if errors.Is(err, errors.ErrUnsupported) {
			continue
		}
		if err != nil {
			return fmt.Errorf("make a %s: %w", kind, err)
		}
		made++
		s, err := w.Read(name)
		if kind == Huge {
			if err != nil || len(s.Data) != fsys.MaxData {
				return fmt.Errorf("Read of a %s: %d bytes, %v; want %d bytes", kind, len(s.Data), err, fsys.MaxData)
			}
		} else if err := w.wantError(err, "read", name, fsys.ErrNotRegular); err != nil {
			return fmt.Errorf("%s: %w", kind, err)
		}
		if f, err := w.Create(name, payload(0)); !errors.Is(err, fs.ErrExist) || f != nil {
			return fmt.Errorf("Create where a %s is: %s, %v", kind, aFile(f), err)
		}
		if kind == Directory {
			if err := w.Remove(name); err == nil {
				return fmt.Errorf("Remove removed a %s", kind)
			}
			f, err := w.Create("mine", payload(0))
			if err != nil {
				return err
			}
			if err := w.Replace("mine", name); err == nil {
				return fmt.Errorf("Replace replaced a %s", kind)
			}
			if err := errors.Join(w.Remove("mine"), f.Close()); err != nil {
				return err
			}
		}
		if names, err := w.List(name); err != nil || len(names) != 1 {
			return fmt.Errorf("a %s that was looked at is gone (%v)", kind, err)
		}
	}
	if made == 0 {
		return errSkip
	}
	return nil
}

func nothingLeft(w *suite) error {
	f, err := w.Create("L0", payload(0))
	if err != nil {
		return err
	}
	for range 10 {
		if _, err := w.Create("L0", payload(1)); !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("second Create: %v", err)
		}
		_ = w.Replace("L1", "L0")
		_ = w.Remove("L1")
	}
	if _, err := fsys.Witnesses(w.Dir); err != nil {
		return fmt.Errorf("Witnesses: %w", err)
	}
	if err := w.settles("L0"); err != nil {
		return err
	}
	if err := errors.Join(w.Remove("L0"), f.Close()); err != nil {
		return err
	}
	return w.settles()
}

// settles fails unless the directory holds these names alone. One that is not
// local has a second for it: some file systems keep a removed file, under another
// name, until it is closed, and FUSE tells its server of that a moment after.
func (w *suite) settles(want ...string) error {
	tries := 0
	if loc, err := fsys.Locate(w.Dir); loc.Local || err != nil {
		tries = 100
	}
	for ; ; tries++ {
		names, err := w.List("")
		if err == nil && slices.Equal(names, want) {
			return nil
		}
		if err != nil || tries == 100 {
			return fmt.Errorf("the directory should hold %s alone: %s, %v", some(want), some(names), err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func sweep(w *suite) error {
	if !has[fsys.Sweeper](w.Dir) {
		return errSkip
	}
	err := while(
		func() error {
			for i := range rounds {
				f, err := w.Create("L0", payload(i))
				if err != nil {
					return fmt.Errorf("Create beside Sweep: %w", err)
				}
				if err := errors.Join(w.Remove("L0"), f.Close()); err != nil {
					return err
				}
			}
			return nil
		},
		func() error { return fsys.Sweep(w.Dir) })
	if err != nil {
		return err
	}
	f, err := w.Create("L0", payload(0))
	if err != nil {
		return err
	}
	if err := errors.Join(f.Close(), fsys.Sweep(w.Dir)); err != nil {
		return err
	}
	if _, err := w.Read("L0"); err != nil {
		return fmt.Errorf("Sweep took a file that was published: %w", err)
	}
	return w.Remove("L0")
}

func witness(w *suite) error {
	kind, err := fsys.Witnesses(w.Dir)
	if err != nil {
		return fmt.Errorf("Witnesses: %w", err)
	}
	if kind == fsys.NoWitness {
		return errSkip
	}
	f, err := w.Create("L0", payload(0))
	if err != nil {
		return err
	}
	look := func(d fsys.Dir, name string, want fsys.Witness) error {
		s, err := d.Read(name)
		if err == nil && s.Witness != want {
			err = fmt.Errorf("the witness is %v, want %v", s.Witness, want)
		}
		return err
	}
	dirs, err := w.dirs()
	if err != nil {
		return err
	}
	for _, d := range dirs {
		if err := look(d, "L0", kind); err != nil {
			return fmt.Errorf("after Create: %w", err)
		}
	}
	if err := f.Close(); err != nil {
		return err
	}
	if kind == fsys.Leased {
		return w.endsSoon("L0")
	}
	if err := look(w.Dir, "L0", fsys.Free); err != nil {
		return fmt.Errorf("after Close: %w", err)
	}
	if f, err = w.Create("L1", payload(1)); err != nil {
		return err
	}
	switch err := w.Replace("L1", "L0"); {
	case errors.Is(err, errors.ErrUnsupported):
		return f.Close()
	case err != nil:
		return err
	}
	if err := look(w.Dir, "L0", kind); err != nil {
		return fmt.Errorf("after Replace: %w", err)
	}
	return f.Close()
}

// noWitness checks a directory that promises none.
func noWitness(w *suite) error {
	kind, err := fsys.Witnesses(w.Dir)
	if err != nil {
		return fmt.Errorf("Witnesses: %w", err)
	}
	if kind != fsys.NoWitness {
		return errSkip
	}
	f, err := w.Create("L0", payload(0))
	if err != nil {
		return err
	}
	one, err := w.Read("L0")
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	two, err := w.Read("L0")
	if err != nil {
		return err
	}
	switch claims := has[fsys.Witnesser](w.Dir); {
	case !claims && (one.Witness != fsys.NoWitness || two.Witness != fsys.NoWitness):
		return fmt.Errorf("the witness is %v, and %v after Close, but the directory is not a Witnesser: want %v", one.Witness, two.Witness, fsys.NoWitness)
	case two.Witness > fsys.Free:
		return fmt.Errorf("after Close the witness is %v", two.Witness)
	}
	return nil
}

func witnessProbes(w *suite) error {
	kind, err := fsys.Witnesses(w.Dir)
	if err != nil {
		return fmt.Errorf("Witnesses: %w", err)
	}
	if kind == fsys.NoWitness {
		return errSkip
	}
	f, err := w.Create("L0", payload(0))
	if err != nil {
		return err
	}
	probe := func(want fsys.Witness) error {
		prober := func() error {
			for range rounds {
				s, err := w.Read("L0")
				if err != nil {
					return err
				}
				if s.Witness != want {
					return fmt.Errorf("beside other probers the witness is %v, want %v", s.Witness, want)
				}
			}
			return nil
		}
		return together(prober, prober, prober, prober)
	}
	if err := probe(kind); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if kind == fsys.Leased {
		return w.endsSoon("L0")
	}
	return probe(fsys.Free)
}

// endsSoon waits for the end of the lease that a file hangs on, whose creator has
// closed it.
func (w *suite) endsSoon(name string) error {
	for end := time.Now().Add(w.Patience); ; {
		s, err := w.Read(name)
		switch {
		case errors.Is(err, fs.ErrNotExist), err == nil && s.Witness == fsys.Ended:
			return nil
		case err != nil || s.Witness != fsys.Leased:
			return fmt.Errorf("after Close: the witness is %v, %w", s.Witness, err)
		case time.Now().After(end):
			return fmt.Errorf("%v after Close the witness is still %v", w.Patience, s.Witness)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// openDirectory moves an open directory away, and makes another one of the name.
func openDirectory(w *suite) error {
	if !has[fsys.Opener](w.Dir) {
		return errSkip
	}
	err := w.Foreign(Directory, w.dir, "sub")
	if errors.Is(err, errors.ErrUnsupported) {
		return errSkip
	} else if err != nil {
		return fmt.Errorf("make a directory: %w", err)
	}
	named, err := w.fs.Dir(filepath.Join(w.dir, "sub"))
	if err != nil {
		return err
	}
	o, err := fsys.Open(named)
	if err != nil {
		return fmt.Errorf("Open: %w", err)
	}
	f, err := created(o.Create("L0", payload(0)))
	if err != nil {
		return errors.Join(err, o.Close())
	}
	err = w.moves(o, f)
	if err == nil {
		err = movedAway(o, named, f)
	}
	if errors.Is(err, errors.ErrUnsupported) {
		err = errSkip
	}
	return errors.Join(err, f.Close(), o.Close())
}

// moves moves the open directory away, and makes another one of the name.
func (w *suite) moves(o fsys.Dir, f fsys.File) error {
	if err := w.place(f, fsys.Here); err != nil {
		return err
	}
	moved, stop, err := fsys.WatchMove(o)
	watches := err == nil
	if err == nil {
		defer stop()
	} else if !errors.Is(err, errors.ErrUnsupported) {
		return fmt.Errorf("WatchMove: %w", err)
	}
	if err := w.Foreign(Moved, w.dir, "sub"); err != nil {
		return err
	}
	if watches {
		if err := w.await(moved, "WatchMove, and a move"); err != nil {
			return err
		}
	}
	if err := w.place(f, fsys.Moved); err != nil {
		return err
	}
	if err := w.Foreign(Directory, w.dir, "sub"); err != nil {
		return err
	}
	return w.place(f, fsys.Replaced)
}

// place checks what L0 says of its place, if it is a Placer.
func (w *suite) place(f fsys.File, want fsys.Place) error {
	if p, ok := f.(fsys.Placer); ok {
		if place, err := p.Place("L0"); err != nil || place != want {
			return fmt.Errorf("Place: %v, %v; want %v", place, err, want)
		}
	}
	return nil
}

// movedAway checks that an open directory and its file are where they were, and
// that the name leads to another one.
func movedAway(o, named fsys.Dir, f fsys.File) error {
	if _, err := named.Read("L0"); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("Read by the name, which is another directory's: %v; want an error that matches %q", err, fs.ErrNotExist)
	}
	if s, err := o.Read("L0"); err != nil || !bytes.Equal(s.Data, payload(0)) {
		return fmt.Errorf("Read in the open directory, which was moved: %w", err)
	}
	if ok, err := f.Intact("L0"); err != nil || !ok {
		return fmt.Errorf("Intact in the open directory, which was moved: %v, %v", ok, err)
	}
	g, err := created(named.Create("L0", payload(1)))
	if err != nil {
		return fmt.Errorf("Create by the name, which is another directory's: %w", err)
	}
	defer g.Close()
	if err := o.Remove("L0"); err != nil {
		return fmt.Errorf("Remove in the open directory, which was moved: %w", err)
	}
	if s, err := named.Read("L0"); err != nil || !bytes.Equal(s.Data, payload(1)) {
		return fmt.Errorf("Remove in the open directory removed the file of another one (%v)", err)
	}
	return nil
}

func prepare(w *suite) error {
	kind, err := fsys.Witnesses(w.Dir)
	if err != nil {
		return fmt.Errorf("Witnesses: %w", err)
	}
	publish := func(p fsys.Prepared, data []byte) error {
		sent := bytes.Clone(data)
		f, err := created(p.CreateIn(w.Dir, "L0", sent))
		if err != nil {
			return fmt.Errorf("Create: %w", err)
		}
		clear(sent)
		if err := p.Close(); err != nil {
			return fmt.Errorf("Close after Create: %w", err)
		}
		s, err := w.Read("L0")
		switch {
		case err != nil || !bytes.Equal(s.Data, data):
			return fmt.Errorf("Create of %d bytes: Read got %d bytes, equal: %v, error: %v", len(data), len(s.Data), bytes.Equal(s.Data, data), err)
		case kind != fsys.NoWitness && s.Witness != kind:
			return fmt.Errorf("after Create the witness is %v, want %v", s.Witness, kind)
		}
		if ok, err := f.Intact("L0"); err != nil || !ok {
			return fmt.Errorf("Intact after Create: %v, %v", ok, err)
		}
		if err := errors.Join(w.Remove("L0"), f.Close()); err != nil {
			return err
		}
		return w.empty()
	}
	for _, size := range []int{-1, 0, 10, 300, fsys.MaxData, fsys.MaxData + 1} {
		p, err := fsys.Prepare(w.Dir, size)
		if errors.Is(err, errors.ErrUnsupported) {
			return errSkip
		}
		if err != nil {
			return fmt.Errorf("Prepare: %w", err)
		}
		if err := w.empty(); err != nil {
			return fmt.Errorf("after Prepare: %w", err)
		}
		// The name is taken, twice, by a file that must not change.
		f, err := w.Create("L0", payload(0))
		if err != nil {
			return err
		}
		for _, data := range [][]byte{bytes.Repeat([]byte("x"), fsys.MaxData), payload(1)} {
			_, err := p.CreateIn(w.Dir, "L0", data)
			if err := w.wantError(err, "create", "L0", fs.ErrExist); err != nil {
				return err
			}
		}
		if s, err := w.Read("L0"); err != nil || !bytes.Equal(s.Data, payload(0)) {
			return fmt.Errorf("Create of a taken name changed the file (%v)", err)
		}
		if err := errors.Join(w.Remove("L0"), f.Close()); err != nil {
			return err
		}
		if err := publish(p, payload(2)); err != nil {
			return err
		}
		// What is not used leaves nothing, nor what was of no use.
		if p, err = fsys.Prepare(w.Dir, size); err != nil {
			return fmt.Errorf("Prepare: %w", err)
		}
		if err := errors.Join(p.Close(), w.empty()); err != nil {
			return fmt.Errorf("after Close: %w", err)
		}
		if p, err = fsys.Prepare(w.Dir, size); err != nil {
			return fmt.Errorf("Prepare: %w", err)
		}
		_, err = p.CreateIn(w.Dir, "L0", make([]byte, fsys.MaxData+1))
		if err := w.wantError(err, "create", "L0", fs.ErrInvalid); err != nil {
			return err
		}
		if err := w.empty(); err != nil {
			return err
		}
	}
	return nil
}

// await waits for a receipt.
func (w *suite) await(changed <-chan struct{}, after string) error {
	patience := time.NewTimer(w.Patience)
	defer patience.Stop()
	select {
	case _, ok := <-changed:
		if !ok {
			return fmt.Errorf("the channel was closed after %s", after)
		}
		return nil
	case <-patience.C:
		return fmt.Errorf("no event in %v after %s", w.Patience, after)
	}
}

func watch(w *suite) error {
	if !has[fsys.Watcher](w.Dir) {
		return errSkip
	}
	_, _, err := fsys.Watch(w.Dir, "L0")
	if errors.Is(err, errors.ErrUnsupported) {
		return errSkip
	}
	if err := w.wantError(err, "watch", "L0", fs.ErrNotExist); err != nil {
		return err
	}
	dirs, err := w.dirs()
	if err != nil {
		return err
	}
	changes := []struct {
		name string
		do   func() error
	}{
		{"Remove", func() error { return w.Remove("L0") }},
		{"Replace by another file", func() error {
			f, err := w.Create("L1", payload(1))
			if err != nil {
				return err
			}
			return errors.Join(w.Replace("L1", "L0"), f.Close())
		}},
		{"Replace to another name", func() error { return w.Replace("L0", "L1") }},
	}
	if err := w.Replace("L1", "L0"); errors.Is(err, errors.ErrUnsupported) {
		changes = changes[:1]
	}
	for _, change := range changes {
		f, err := w.Create("L0", payload(0))
		if err != nil {
			return err
		}
		var channels []<-chan struct{}
		var stops []func()
		for _, d := range dirs {
			changed, stop, err := fsys.Watch(d, "L0")
			if err != nil {
				return fmt.Errorf("Watch: %w", err)
			}
			channels, stops = append(channels, changed), append(stops, stop)
		}
		// One that has stopped must not take the others with it.
		_, stop, err := fsys.Watch(w.Dir, "L0")
		if err != nil {
			return fmt.Errorf("Watch: %w", err)
		}
		stop()
		if err := change.do(); err != nil {
			return err
		}
		for _, changed := range channels {
			if err := w.await(changed, change.name); err != nil {
				return err
			}
		}
		for _, stop := range stops {
			stop()
		}
		for _, name := range []string{"L0", "L1"} {
			if err := w.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	return nil
}

func watchEarly(w *suite) error {
	if !has[fsys.Watcher](w.Dir) {
		return errSkip
	}
	for range rounds {
		f, err := w.Create("L0", payload(0))
		if err != nil {
			return err
		}
		err = together(
			func() error { return w.Remove("L0") },
			func() error {
				changed, stop, err := fsys.Watch(w.Dir, "L0")
				if errors.Is(err, fs.ErrNotExist) {
					return nil
				}
				if err != nil {
					return err
				}
				defer stop()
				return w.await(changed, "a Remove beside Watch")
			})
		if err := errors.Join(err, f.Close()); errors.Is(err, errors.ErrUnsupported) {
			return errSkip
		} else if err != nil {
			return err
		}
	}
	return nil
}
