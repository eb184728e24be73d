package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/dirlock/dirlock/lock"
)

// Readers: each place among the workers has a word of the oracle, in which a worker
// writes its number after TryRLock returned true, and takes it out before RUnlock.
// What holds of owners holds of them: to find another's number proves nothing as
// long as that one may have been killed before.

// alone says what is wrong for the owner since that time, or "": no reader may have
// been alive after it.
func (o *oracle) alone(me uint64, since int64) string {
	deadline := time.Now().Add(30 * time.Second)
	for i := range o.head.reading {
		place := &o.head.reading[i]
		found := place.Load()
		for found != 0 {
			if place.Load() != found {
				return "a reader came or left after we acquired the lock"
			}
			if r := &o.rows[found]; r.dead.Load() != 0 {
				if r.stamp.Load() > since || r.doomed.Load() > since {
					return "a reader was alive after we acquired the lock"
				}
				break
			}
			if time.Now().After(deadline) {
				return "a reader is alive, and stays"
			}
			time.Sleep(50 * time.Microsecond)
			o.rows[me].stamp.Store(monotonic())
		}
	}
	return ""
}

// join says that worker me acquired the lock for reading, and has not called
// RUnlock. It returns the number of the dead owner whose number is still there, or
// 0, and what is wrong.
func (o *oracle) join(place int, me uint64) (dead uint64, wrong string) {
	since := monotonic()
	o.rows[me].stamp.Store(since)
	o.head.reading[place].Store(me)
	defer func() {
		o.head.last.Store(monotonic())
		o.head.acquired.Add(1)
		o.head.shared.Add(1)
	}()
	other := o.head.owner.Load()
	if other == 0 {
		return 0, ""
	}
	for deadline := time.Now().Add(30 * time.Second); ; {
		if o.head.owner.Load() != other {
			return 0, "an owner came or left after we acquired the lock for reading"
		}
		if r := &o.rows[other]; r.dead.Load() != 0 {
			if r.stamp.Load() > since || r.doomed.Load() > since {
				return 0, "an owner was alive after we acquired the lock for reading"
			}
			return other, ""
		}
		if time.Now().After(deadline) {
			return 0, "an owner is alive, and stays"
		}
		time.Sleep(50 * time.Microsecond)
		o.rows[me].stamp.Store(monotonic())
	}
}

// stillReading stamps the row, and says what is wrong.
func (o *oracle) stillReading(me, dead uint64) string {
	o.rows[me].stamp.Store(monotonic())
	if now := o.head.owner.Load(); now != 0 && now != dead {
		return "an owner came while we read"
	}
	return ""
}

// read is a round as a reader. It returns false if the lock was refused.
func (w *rounds) read() bool {
	o := w.o
	ok, err := w.l.TryRLock()
	if err != nil {
		w.failure(err)
		return true
	}
	if !ok {
		return false
	}
	dead, what := o.join(w.place, w.me)
	if what != "" {
		w.violation(what)
	}
	for range rand.IntN(50) {
		if what := o.stillReading(w.me, dead); what != "" {
			w.violation(what)
			break
		}
	}
	if rand.IntN(8) == 0 {
		time.Sleep(time.Duration(rand.IntN(300)) * time.Microsecond)
		if err := w.l.Check(); err != nil {
			w.failure(err)
		}
	}
	if o.head.reading[w.place].Swap(0) != w.me {
		w.violation("another reader is in our place")
	}
	if err := w.l.RUnlock(); err != nil {
		w.failure(err)
	}
	return true
}

// tryOrWait is TryLock, or, beside readers, sometimes a Lock that gives up soon, and
// that publishes a claim if it meets readers.
func (w *rounds) tryOrWait() (bool, error) {
	if w.readers == 0 || rand.IntN(8) > 0 {
		return w.l.TryLock()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	err := w.l.LockContext(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		return false, nil
	}
	return err == nil, err
}

// rounds is a worker at work.
type rounds struct {
	o         *oracle
	l         *lock.DirLock
	me        uint64
	place     int // among the workers
	readers   int // in a hundred rounds
	violation func(string)
	failure   func(error)
}
