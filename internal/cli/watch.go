package cli

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/dirlock/dirlock/fsys"
	"github.com/dirlock/dirlock/fsys/osfs"
	"github.com/dirlock/dirlock/lock"
	"github.com/dirlock/dirlock/proc"
)

// How often "dirlock status --watch" looks at a directory.
const (
	watchPoll = 500 * time.Millisecond // where no event tells of a change
	watchBeat = 30 * time.Second       // where events do: they can be lost
)

// watchStatus prints the status of directories whenever it has changed, until a
// signal ends it.
func watchStatus(out io.Writer, dirs []string, asJSON bool) error {
	signals := catchSignals()
	failed := make(chan error, len(dirs))
	var printing sync.Mutex
	for _, dir := range dirs {
		w := &watch{dir: dir, print: func() error {
			printing.Lock()
			defer printing.Unlock()
			_, err := showStatus(out, dir, asJSON, false)
			return err
		}}
		go func() { failed <- w.run() }()
	}
	for {
		select {
		case err := <-failed:
			return err
		case s := <-signals:
			if ends(s) {
				return exitError{code: exitSignal + signalNumber(s)}
			}
		}
	}
}

// watch prints the status of a directory whenever it has changed.
type watch struct {
	dir    string
	print  func() error
	before string // what it has printed

	beat    time.Duration   // until the next look, if nothing wakes us
	changed <-chan struct{} // the directory or the file of the owner
	ended   <-chan struct{} // its process
	stops   []func()
}

// run does not end but for an error.
func (w *watch) run() error {
	for {
		s, err := newLockOf(w.dir).Status()
		now := fmt.Sprintf("%+v %v", s, err)
		if now == w.before {
			select {
			case <-w.changed:
			case <-w.ended:
				w.ended, w.beat = nil, watchPoll // until that is to be seen
			case <-time.After(w.beat):
			}
			continue
		}
		w.before = now
		if err := w.print(); err != nil {
			return err
		}
		// What happened before the watch began is not among its events: look
		// again at once.
		w.arrange(s, err)
	}
}

// arrange arranges to be woken when the status may have changed.
func (w *watch) arrange(s lock.Status, err error) {
	for _, stop := range w.stops {
		stop()
	}
	w.beat, w.changed, w.ended, w.stops = watchPoll, nil, nil, nil
	d, dirErr := osfs.New().Dir(w.dir)
	if err != nil || dirErr != nil || theStore.remote() {
		return
	}
	// On a network, other machines change files without an event here.
	if at, err := fsys.Locate(d); err != nil || !at.Local {
		return
	}
	st, level := s.State()
	if st == lock.Held {
		w.watchOwner(d, level)
		return
	}
	if changed, stop, err := watchDir(w.dir); err == nil {
		w.beat, w.changed, w.stops = watchBeat, changed, []func(){stop}
	}
}

// watchOwner waits for both ways in which an owner lets go.
func (w *watch) watchOwner(d fsys.Dir, level lock.Level) {
	file := theName.levelFile(level.N)
	changed, stop, err := fsys.Watch(d, file)
	if err != nil {
		return
	}
	w.changed, w.stops = changed, []func(){stop}
	// Of a process that has ended while its command still runs, no event tells when
	// that ends.
	if !countsHere(level.Owner) {
		return
	}
	if state, _ := proc.OS().Probe(level.Owner.Identity); state != proc.Alive {
		return
	}
	if ended, stop, err := proc.Notify(proc.OS(), level.Owner.Identity); err == nil {
		w.beat, w.ended, w.stops = watchBeat, ended, append(w.stops, stop)
	}
}
