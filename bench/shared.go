package main

import (
	"context"
	"errors"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"github.com/dirlock/dirlock/lock"
)

// J and K: locks that are shared.

// forReading are the contenders that can share, as locks for reading.
var forReading = []Contender{
	{Name: baseline + reading, Open: func(dir string) Lock { return gofrsReader{flock.New(filepath.Join(dir, "lock"))} }},
	{Name: "dirlock" + reading, Open: func(dir string) Lock { return lock.New(dir).RLocker() }},
}

const reading = " for reading"

type gofrsReader struct{ *flock.Flock }

func (l gofrsReader) TryLock() (bool, error) { return l.TryRLock() }
func (l gofrsReader) Lock() error            { return l.RLock() }

// exclusive is the same lock, for writing.
func exclusive(name string) string { return strings.TrimSuffix(name, reading) }

func sharedCost() {
	const columns = "file system,,median,least,most,× " + baseline + ","
	head := func(title, note string) { table(title, note, strings.Split(columns, ",")...) }
	with := func(worker string, want bool) {
		everywhere(func(p *place) {
			for _, c := range forReading {
				if worker == "" {
					continue
				}
				w := p.worker(worker, c.Name)
				w.answer()
				defer func() { check(w.in.Close()); w.wait() }()
			}
			turns(p, forReading, strconv.FormatBool(want))
		})
	}
	head("J. TryRLock and RUnlock of a free lock", "One process, nobody else.")
	with("", true)
	head("J. … beside another reader", "Another process has the lock for reading.")
	with("hold", true)
	head("J. … that another process holds alone", "The answer is false.")
	with("hold-alone", false)
}

// longest is how long K waits for one lock.
const longest = 5 * time.Second

func starvation() {
	for _, k := range []struct{ title, crowd, one string }{
		{"K. A writer among readers", "loop-read", "wait-write"},
		{"K. A reader among writers", "loop-write", "wait-read"},
	} {
		table(k.title, "Seven processes acquire and release the lock in a tight loop; an eighth one waits for it, again and again, for "+longest.String()+" at most.",
			"file system", "", "median", "95 %", "most", "given up")
		everywhere(func(p *place) {
			for _, c := range forReading {
				var crowd []*worker
				for range 7 {
					w := p.worker(k.crowd, c.Name)
					w.answer()
					crowd = append(crowd, w)
				}
				w := p.worker(k.one, c.Name)
				w.answer()
				w.wait()
				for _, w := range crowd {
					check(w.cmd.Process.Kill())
					_ = w.cmd.Wait()
				}
				var took []time.Duration
				given := 0
				for i := range starvations {
					d := time.Duration(p.values[i].Load())
					if d >= longest {
						given++
					}
					took = append(took, d)
				}
				row(p.fs, exclusive(c.Name), quantile(took, .5), quantile(took, .95), quantile(took, 1), given)
			}
		})
	}
}

const starvations = 60

// waitFor waits for the lock, for as long as K waits.
func waitFor(p *place, name string, shared bool) (release func() error, ok bool) {
	ctx, cancel := context.WithTimeout(context.Background(), longest)
	defer cancel()
	dir := p.home(name)
	if strings.HasPrefix(name, baseline) {
		l := flock.New(filepath.Join(dir, "lock"))
		try := l.TryLockContext
		if shared {
			try = l.TryRLockContext
		}
		ok, err := try(ctx, poll)
		if !errors.Is(err, context.DeadlineExceeded) {
			check(err)
		}
		return l.Unlock, ok
	}
	l := lock.New(dir)
	if shared {
		err := l.RLockContext(ctx)
		return l.RUnlock, err == nil
	}
	err := l.LockContext(ctx)
	return l.Unlock, err == nil
}

func init() {
	workers["hold-alone"] = func(p *place, args []string) {
		l := contender(exclusive(args[0])).Open(p.home(args[0]))
		mustLock(l)
		say()
		listen()
	}
	loop := func(open func(p *place, name string) Lock) func(p *place, args []string) {
		return func(p *place, args []string) {
			l := open(p, args[0])
			for n := 0; ; n++ {
				mustLock(l)
				check(l.Unlock())
				if n == 0 {
					say()
				}
			}
		}
	}
	workers["loop-read"] = loop(func(p *place, name string) Lock { return p.open(name) })
	workers["loop-write"] = loop(func(p *place, name string) Lock { return contender(exclusive(name)).Open(p.home(name)) })
	one := func(shared bool) func(p *place, args []string) {
		return func(p *place, args []string) {
			given := 0
			for i := range starvations {
				if given == 3 { // it is starved
					p.values[i].Store(int64(longest))
					continue
				}
				start := now()
				release, ok := waitFor(p, args[0], shared)
				took := now() - start
				if ok {
					check(release())
				} else {
					given++
					took = int64(longest)
				}
				p.values[i].Store(took)
				time.Sleep(time.Duration(took%7) * time.Millisecond)
			}
			say()
		}
	}
	workers["wait-write"] = one(false)
	workers["wait-read"] = one(true)
}
