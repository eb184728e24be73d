package fsystest

import (
	"errors"
	"fmt"
	"io/fs"
	"sync/atomic"
	"time"

	"github.com/dirlock/dirlock/fsys"
)

// waitFor waits in line, and gives up after w.Patience.
func (w *suite) waitFor(p fsys.Spot) error {
	giveUp := time.AfterFunc(w.Patience, p.Interrupt)
	defer giveUp.Stop()
	return p.Wait()
}

func line(w *suite) error {
	if kind, err := fsys.Witnesses(w.Dir); err != nil || kind != fsys.Held {
		return errors.Join(errSkip, err)
	}
	if _, err := fsys.Line(w.Dir, "L0"); errors.Is(err, errors.ErrUnsupported) {
		return errSkip
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("Line of a missing file: %v, want %v", err, fs.ErrNotExist)
	}
	f, err := w.Create("L0", payload(0))
	if err != nil {
		return err
	}
	const many = 5
	var places []fsys.Spot
	for n := range many {
		p, err := fsys.Line(w.Dir, "L0")
		if errors.Is(err, errors.ErrUnsupported) {
			return errors.Join(errSkip, w.Remove("L0"), f.Close())
		}
		if err != nil {
			return fmt.Errorf("Line: %w", err)
		}
		if followed := p.Followed(); followed != (n > 0) {
			return fmt.Errorf("Followed with %d others in line: %v", n, followed)
		}
		places = append(places, p)
	}
	if err := interrupted(w, places[0]); err != nil {
		return err
	}
	// One after the other, and nobody before the creator has let go.
	var free atomic.Bool
	done := make(chan error, many)
	for _, p := range places[1:] {
		go func() {
			err := w.waitFor(p)
			if err != nil {
				err = fmt.Errorf("Wait: %w", err)
			} else if !free.Swap(false) {
				err = errors.New("Wait returned although the creator, or one before, had not let go")
			}
			if s, e := w.Read("L0"); err == nil && (e != nil || s.Witness != fsys.Free) {
				err = fmt.Errorf("with the first in line there, the witness of a file that was let go is %v (%v), want free", s.Witness, e)
			}
			free.Store(true)
			done <- errors.Join(err, p.Close())
		}()
	}
	if s, err := w.Read("L0"); err != nil || s.Witness != fsys.Held {
		return fmt.Errorf("with a line behind the creator, the witness is %v (%v), want held", s.Witness, err)
	}
	free.Store(true)
	if err := f.Close(); err != nil {
		return err
	}
	for range places[1:] {
		if err := <-done; err != nil {
			return err
		}
	}
	return errors.Join(w.Remove("L0"), w.empty())
}

// interrupted interrupts a place before, during and after a Wait.
func interrupted(w *suite, p fsys.Spot) error {
	waits := make(chan error, 1)
	go func() { waits <- p.Wait() }()
	p.Interrupt()
	patience := time.NewTimer(w.Patience)
	defer patience.Stop()
	select {
	case err := <-waits:
		if !errors.Is(err, fsys.ErrInterrupted) {
			return fmt.Errorf("Wait after Interrupt: %v, want %v", err, fsys.ErrInterrupted)
		}
	case <-patience.C:
		return errors.New("Wait did not return after Interrupt")
	}
	if err := p.Close(); err != nil {
		return err
	}
	p.Interrupt()
	return nil
}
