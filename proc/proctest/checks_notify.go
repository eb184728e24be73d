package proctest

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"github.com/dirlock/dirlock/proc"
)

func checkNotify(b Backend) error {
	return b.with(func(p *Process) error {
		ended, stop, err := proc.Notify(b.Table, p.ID)
		if errors.Is(err, errors.ErrUnsupported) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("Notify: %w", err)
		}
		if err := p.Kill(); err != nil {
			return err
		}
		// It may receive early, for no reason; after the end it has to.
		err = b.receives(ended, "of a process that ends")
		if err := errors.Join(err, b.returns(stop)); err != nil {
			return err
		}
		return open(ended)
	})
}

func checkNotifyDead(b Backend) error {
	return b.with(func(p *Process) error {
		if err := p.Kill(); err != nil {
			return err
		}
		for _, what := range []string{"of a zombie", "of a process that was reaped"} {
			ended, stop, err := proc.Notify(b.Table, p.ID)
			if errors.Is(err, errors.ErrUnsupported) {
				return nil
			}
			if err != nil {
				return fmt.Errorf("Notify %s: %w", what, err)
			}
			err = b.receives(ended, what)
			if err := errors.Join(err, b.returns(stop)); err != nil {
				return err
			}
			if err := p.Reap(); err != nil {
				return err
			}
		}
		return nil
	})
}

// checkStop takes and stops so many notifications that a leak stands out from all
// else that the process does meanwhile.
func checkStop(b Backend) error {
	const many = 500
	return b.with(func(p *Process) error {
		notify := func() error {
			ended, stop, err := proc.Notify(b.Table, p.ID)
			if err != nil {
				return err
			}
			if err := b.returns(stop); err != nil {
				return err
			}
			return open(ended)
		}
		if err := notify(); errors.Is(err, errors.ErrUnsupported) {
			return nil
		} else if err != nil {
			return err
		}
		for _, r := range []struct {
			name  string
			count func() int
		}{
			{"goroutines", runtime.NumGoroutine},
			{"descriptors", descriptors},
		} {
			before := r.count()
			for range many {
				if err := notify(); err != nil {
					return err
				}
			}
			if after := b.settle(r.count, before+many/2); after > before+many/2 {
				return fmt.Errorf("stop leaks: %d %s before, %d after %d notifications", before, r.name, after, many)
			}
		}
		return b.want(p.ID, "a live process, after stop", living(p.ID)...)
	})
}

// checkConcurrent uses a table from many goroutines at once while a process
// ends, for the race detector to watch.
func checkConcurrent(b Backend) error {
	return b.with(func(p *Process) error {
		const many = 8
		errs := make(chan error, many)
		for range many {
			go func() {
				errs <- func() error {
					if _, err := b.Table.Self(); err != nil {
						return err
					}
					ended, stop, err := proc.Notify(b.Table, p.ID)
					if err == nil {
						err = b.receives(ended, "of a process that ends")
						err = errors.Join(err, b.returns(stop))
					}
					if err != nil && !errors.Is(err, errors.ErrUnsupported) {
						return err
					}
					if p.ID.Unique == "" && p.ID.Start == "" {
						return nil // it may be a zombie, and look alive
					}
					return b.dies(p.ID, "a process that was killed")
				}()
			}()
		}
		err := p.Kill()
		for range many {
			err = errors.Join(err, <-errs)
		}
		return err
	})
}

// receives demands that a channel receives, and is not closed.
func (b Backend) receives(ended <-chan struct{}, what string) error {
	timer := time.NewTimer(b.Patience)
	defer timer.Stop()
	select {
	case _, ok := <-ended:
		if !ok {
			return fmt.Errorf("the channel %s is closed", what)
		}
		return nil
	case <-timer.C:
		return fmt.Errorf("the channel %s received nothing", what)
	}
}

// open demands that a channel is not closed.
func open(ended <-chan struct{}) error {
	for {
		select {
		case _, ok := <-ended:
			if !ok {
				return errors.New("the channel is closed after stop")
			}
		default:
			return nil
		}
	}
}

// returns demands that stop returns.
func (b Backend) returns(stop func()) error {
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		stop()
	}()
	timer := time.NewTimer(b.Patience)
	defer timer.Stop()
	select {
	case <-stopped:
		return nil
	case <-timer.C:
		return errors.New("stop does not return")
	}
}

// descriptors returns how many files this process has open, or 0 where nothing
// tells.
func descriptors() int {
	entries, _ := os.ReadDir("/dev/fd")
	return len(entries)
}

// settle waits until count is not above limit, and returns the count.
func (b Backend) settle(count func() int, limit int) (n int) {
	b.poll(func() bool {
		n = count()
		return n <= limit
	})
	return n
}
