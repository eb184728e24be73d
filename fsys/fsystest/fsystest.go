// Package fsystest checks that an implementation of [fsys.FS] gives what a
// directory lock relies on.
//
// [Run] is for tests, with a subtest for each promise. [Check] does the same
// for any other harness. What can be checked in a running process is checked:
// that operations are atomic when processes are killed or machines share a
// directory is not among it.
package fsystest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/dirlock/dirlock/fsys"
)

// A Kind is something that another program can do to a name in the directory.
type Kind string

const (
	Directory    Kind = "directory"     // make a directory
	Symlink      Kind = "symlink"       // make a symbolic link to a file that exists
	DanglingLink Kind = "dangling link" // make a symbolic link to nothing
	FIFO         Kind = "FIFO"          // make a FIFO that nobody writes to
	Socket       Kind = "socket"        // make a socket
	Device       Kind = "device"        // make a device node
	Huge         Kind = "huge file"     // make a file that is far longer than fsys.MaxData
	Overwritten  Kind = "overwritten"   // write "foreign" into the file, in place
)

// kinds that are not regular files.
var irregular = []Kind{Directory, Symlink, DanglingLink, FIFO, Socket, Device}

// Option changes what is checked.
type Option func(*config)

type config struct {
	foreign func(kind Kind, dir, name string) error
	second  func(fsys fsys.FS) fsys.FS
	wait    time.Duration
}

// Foreign lets the suite have things done to the directory behind the back of
// the file system that is checked. It returns an error that matches
// errors.ErrUnsupported for what cannot be done. Without it, nothing is done.
func Foreign(do func(kind Kind, dir, name string) error) Option {
	return func(c *config) { c.foreign = do }
}

// Second makes another value for the same files. Without it, the first one is
// used twice.
func Second(second func(fsys.FS) fsys.FS) Option {
	return func(c *config) { c.second = second }
}

// Patience is how long the suite waits for an event that must come: 30 seconds,
// if it is not given.
func Patience(d time.Duration) Option {
	return func(c *config) { c.wait = d }
}

// Check runs every case on a file system and an empty directory of its own,
// and returns all misbehaviour that it found, joined: what was seen, and why it
// matters.
func Check(newDir func() (fs fsys.FS, dir string), options ...Option) error {
	var errs []error
	for _, c := range cases {
		if err := c.check(newDir, options); err != nil && !errors.Is(err, errSkip) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Run runs every case as a subtest. What the file system does not claim to be
// able to do is skipped.
func Run(t *testing.T, newDir func(t *testing.T) (fs fsys.FS, dir string), options ...Option) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			err := c.check(func() (fsys.FS, string) { return newDir(t) }, options)
			if errors.Is(err, errSkip) {
				t.Skip(err)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
}

// testCase is one promise.
type testCase struct {
	name string
	// explanation says why a lock relies on it.
	explanation string
	run         func(w *world) error
}

// errSkip: the file system does not claim to be able to do this.
var errSkip = errors.New("not claimed")

func (c testCase) check(newDir func() (fsys.FS, string), options []Option) error {
	w := &world{config: config{
		foreign: func(Kind, string, string) error { return errors.ErrUnsupported },
		second:  func(f fsys.FS) fsys.FS { return f },
		wait:    30 * time.Second,
	}}
	for _, option := range options {
		option(&w.config)
	}
	w.fs, w.dir = newDir()
	d, err := w.fs.Dir(w.dir)
	if err != nil {
		return fmt.Errorf("%s: Dir(%q): %w", c.name, w.dir, err)
	}
	w.Dir = d
	if err := c.run(w); err != nil {
		return fmt.Errorf("%s: %w (%s)", c.name, err, c.explanation)
	}
	return nil
}

// world is what a case works with: the directory that it checks, and where that
// is from.
type world struct {
	fsys.Dir
	config
	fs  fsys.FS
	dir string
}

// dirs returns independent values for the directory.
func (w *world) dirs() ([]fsys.Dir, error) {
	dirs := []fsys.Dir{w.Dir}
	for _, f := range []fsys.FS{w.fs, w.second(w.fs)} {
		d, err := f.Dir(w.dir)
		if err != nil {
			return nil, err
		}
		dirs = append(dirs, d)
	}
	return dirs, nil
}
