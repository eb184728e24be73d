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
	"strings"
	"testing"
	"time"

	"github.com/dirlock/dirlock/fsys"
)

// A Kind is something that another program can do to a name in the directory.
type Kind string

// The kinds, and what [Backend.Foreign] does for each.
const (
	Directory    Kind = "directory"     // make a directory
	Symlink      Kind = "symlink"       // make a symbolic link to a file that exists
	DanglingLink Kind = "dangling link" // make a symbolic link to nothing
	FIFO         Kind = "FIFO"          // make a FIFO that nobody writes to
	Socket       Kind = "socket"        // make a socket
	Device       Kind = "device"        // make a device node
	Huge         Kind = "huge file"     // make a file that is far longer than fsys.MaxData
	Overwritten  Kind = "overwritten"   // write "foreign" into the file, in place
	Moved        Kind = "moved"         // rename the directory: ".moved" is added to its name
)

// kinds that are not regular files.
var irregular = []Kind{Directory, Symlink, DanglingLink, FIFO, Socket, Device}

// Backend is a file system to check, and what the suite needs for it.
type Backend struct {
	// New returns the file system, and an empty directory that nobody else uses.
	// Every case has its own.
	New func() (fs fsys.FS, dir string)

	// Second makes another value for the same files. If it is nil, the first one
	// is used twice.
	Second func(fsys.FS) fsys.FS

	// Foreign does things to the directory behind the back of the file system
	// that is checked. It returns an error that matches errors.ErrUnsupported for
	// what cannot be done. If it is nil, the checks that need it are left out.
	Foreign func(kind Kind, dir, name string) error

	// Flat: the file system has no directories that could be missing, such as a
	// store with keys. A directory is then no more than a prefix.
	Flat bool

	// Patience is how long the suite waits for an event that must come: 30
	// seconds, if it is zero.
	Patience time.Duration

	// Skip names cases that are left out, each with the reason. The name of a case
	// begins its error; it has spaces where that of the subtest has hyphens.
	Skip map[string]string
}

// Check runs every case and returns all misbehaviour that it found, joined, or
// nil. Each error says what was seen, and why it matters. Cases about what the
// file system does not claim to be able to do are left out.
func Check(b Backend) error {
	var errs []error
	for _, c := range cases {
		if err := c.check(b); err != nil && !errors.Is(err, errSkip) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Run is [Check] with a subtest for each promise. What the file system does not
// claim to be able to do is skipped.
func Run(t *testing.T, b Backend) {
	t.Helper()
	for _, c := range cases {
		t.Run(strings.ReplaceAll(c.name, " ", "-"), func(t *testing.T) {
			err := c.check(b)
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
	run         func(w *suite) error
}

// errSkip: the file system does not claim to be able to do this.
var errSkip = errors.New("not claimed")

func (c testCase) check(b Backend) error {
	if why, ok := b.Skip[c.name]; ok {
		return fmt.Errorf("%w: %s", errSkip, why)
	}
	if b.Second == nil {
		b.Second = func(f fsys.FS) fsys.FS { return f }
	}
	if b.Foreign == nil {
		b.Foreign = func(Kind, string, string) error { return errors.ErrUnsupported }
	}
	if b.Patience == 0 {
		b.Patience = 30 * time.Second
	}
	w := &suite{Backend: b}
	w.fs, w.dir = b.New()
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

// suite is what a case works with: the directory that it checks, and where that
// is from.
type suite struct {
	fsys.Dir
	Backend
	fs  fsys.FS
	dir string
}

// Create is that of the directory, and fails if it returns nothing.
func (w *suite) Create(name string, data []byte) (fsys.File, error) {
	return created(w.Dir.Create(name, data))
}

// created fails unless there is either a file or an error.
func created(f fsys.File, err error) (fsys.File, error) {
	if f == nil && err == nil {
		return nil, errors.New("Create returned neither a File nor an error")
	}
	return f, err
}

// has tells whether d, or what it wraps, is a T.
func has[T any](d fsys.Dir) bool {
	for {
		if _, ok := d.(T); ok {
			return true
		}
		w, ok := d.(fsys.Wrapper)
		if !ok {
			return false
		}
		d = w.Unwrap()
	}
}

// dirs returns independent values for the directory.
func (w *suite) dirs() ([]fsys.Dir, error) {
	dirs := []fsys.Dir{w.Dir}
	for _, f := range []fsys.FS{w.fs, w.Second(w.fs)} {
		d, err := f.Dir(w.dir)
		if err != nil {
			return nil, err
		}
		dirs = append(dirs, d)
	}
	return dirs, nil
}
