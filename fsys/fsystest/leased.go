package fsystest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync/atomic"

	"github.com/dirlock/dirlock/fsys"
)

// The cases for a store in which files hang on leases: see [fsys.Swapper].

// errFlat: there is nothing that could be missing.
var errFlat = fmt.Errorf("%w: it has no directories", errSkip)

// leased returns errSkip unless the directory is one of such a store, and fails if
// it lacks a part of what such a store must have.
func (w *suite) leased() error {
	kind, err := fsys.Witnesses(w.Dir)
	switch {
	case err != nil:
		return fmt.Errorf("Witnesses: %w", err)
	case kind == fsys.Leased && !has[fsys.Swapper](w.Dir):
		return errors.New("files hang on leases, and the directory is no Swapper")
	case kind != fsys.Leased:
		return errSkip
	}
	return nil
}

func swap(w *suite) error {
	if err := w.leased(); err != nil {
		return err
	}
	_, err := fsys.Swap(w.Dir, "L0", fsys.Snapshot{}, payload(1))
	if err := w.wantError(err, "swap", "L0", fs.ErrNotExist); err != nil {
		return err
	}
	old, err := w.Create("L0", payload(0))
	if err != nil {
		return err
	}
	seen, err := w.Read("L0")
	if err != nil {
		return err
	}
	f, err := created(fsys.Swap(w.Dir, "L0", seen, payload(1)))
	if err != nil {
		return fmt.Errorf("Swap of the file that was looked at: %w", err)
	}
	if s, err := w.Read("L0"); err != nil || !bytes.Equal(s.Data, payload(1)) || s.Witness != fsys.Leased {
		return fmt.Errorf("Read after Swap: its data: %v, witness %v, %v", bytes.Equal(s.Data, payload(1)), s.Witness, err)
	}
	g, err := fsys.Swap(w.Dir, "L0", seen, payload(2))
	if g != nil {
		return errors.New("Swap of a file that was replaced since it was looked at succeeded")
	}
	if err := w.wantError(err, "swap", "L0", fs.ErrExist); err != nil {
		return err
	}
	if ok, err := f.Intact("L0"); err != nil || !ok {
		return fmt.Errorf("Intact after Swap: %v, %v", ok, err)
	}
	if ok, err := old.Intact("L0"); err != nil || ok {
		return fmt.Errorf("Intact of the file that was replaced: %v, %v", ok, err)
	}
	if err := old.Close(); err != nil {
		return err
	}
	if ok, err := f.Intact("L0"); err != nil || !ok {
		return fmt.Errorf("Intact after Close of the file that was replaced: %v, %v", ok, err)
	}
	return errors.Join(w.Remove("L0"), f.Close())
}

func oneSwapper(w *suite) error {
	if err := w.leased(); err != nil {
		return err
	}
	dirs, err := w.dirs()
	if err != nil {
		return err
	}
	f, err := w.Create("L0", payload(0))
	if err != nil {
		return err
	}
	for range rounds / 2 {
		seen, err := w.Read("L0")
		if err != nil {
			return err
		}
		var won atomic.Int32
		var file fsys.File
		var swappers []func() error
		for i := range 2 * len(dirs) {
			swappers = append(swappers, func() error {
				g, err := created(fsys.Swap(dirs[i%len(dirs)], "L0", seen, payload(i)))
				if errors.Is(err, fs.ErrExist) {
					return nil
				}
				if err == nil && won.Add(1) == 1 {
					file = g
				}
				return err
			})
		}
		if err := together(swappers...); err != nil {
			return err
		}
		if won.Load() != 1 {
			return fmt.Errorf("%d of those that had looked at one file replaced it", won.Load())
		}
		if err := f.Close(); err != nil {
			return err
		}
		f = file
	}
	return errors.Join(w.Remove("L0"), f.Close())
}

func removeIf(w *suite) error {
	if err := w.leased(); err != nil {
		return err
	}
	f, err := w.Create("L0", payload(0))
	if err != nil {
		return err
	}
	if _, ok := f.(fsys.Remover); !ok {
		return errors.New("files hang on leases, and are no Remover")
	}
	if ok, err := fsys.Remove(f, "L1"); err != nil || ok {
		return fmt.Errorf("Remove by another name: %v, %v", ok, err)
	}
	if err := w.Remove("L0"); err != nil {
		return err
	}
	if ok, err := fsys.Remove(f, "L0"); err != nil || ok {
		return fmt.Errorf("Remove of a file that is gone: %v, %v", ok, err)
	}
	g, err := w.Create("L0", payload(0)) // with the same data
	if err != nil {
		return err
	}
	if ok, err := fsys.Remove(f, "L0"); err != nil || ok {
		return fmt.Errorf("Remove while the name is another's: %v, %v", ok, err)
	}
	if ok, err := g.Intact("L0"); err != nil || !ok {
		return fmt.Errorf("Remove by the one before removed the file: %v, %v", ok, err)
	}
	if ok, err := fsys.Remove(g, "L0"); err != nil || !ok {
		return fmt.Errorf("Remove: %v, %v", ok, err)
	}
	return errors.Join(w.empty(), f.Close(), g.Close())
}

func token(w *suite) error {
	if err := w.leased(); err != nil {
		return err
	}
	last := uint64(0)
	for i := range rounds {
		name := fmt.Sprint("L", i%2) // another name, too
		f, err := w.Create(name, payload(i))
		if err != nil {
			return err
		}
		t, ok := fsys.Token(f)
		if !ok {
			return errSkip
		}
		if again, _ := fsys.Token(f); t <= last || again != t {
			return fmt.Errorf("the token is %d, then %d, after one of %d", t, again, last)
		}
		last = t
		if _, err := fsys.Remove(f, name); err != nil {
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	return nil
}

func contexts(w *suite) error {
	if !has[fsys.Contexter](w.Dir) {
		return errSkip
	}
	d, err := fsys.Open(w.Dir)
	if err != nil {
		return err
	}
	defer d.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	with := fsys.WithContext(ctx, d)
	f, err := created(with.Create("L0", payload(0)))
	if err != nil {
		return fmt.Errorf("Create with a context: %w", err)
	}
	cancel()
	if _, err := with.Read("L0"); !errors.Is(err, context.Canceled) {
		return fmt.Errorf("Read after the context was cancelled: %v", err)
	}
	if g, err := with.Create("L1", payload(1)); !errors.Is(err, context.Canceled) || g != nil {
		return fmt.Errorf("Create after the context was cancelled: %s, %v", aFile(g), err)
	}
	if ok, err := f.Intact("L0"); err != nil || !ok {
		return fmt.Errorf("Intact after the context of Create was cancelled: %v, %v", ok, err)
	}
	return errors.Join(w.Remove("L0"), f.Close())
}
