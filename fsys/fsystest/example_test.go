package fsystest_test

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/dirlock/dirlock/fsys"
	"github.com/dirlock/dirlock/fsys/fsystest"
	"github.com/dirlock/dirlock/lock"
)

// table is a file system of one's own: a table of records, such as a database
// has, with one "directory". It can do no more than [fsys.Dir] asks of it.
type table struct {
	mu   sync.Mutex // stands for the transactions of a database
	rows map[string]*row
}

type row struct{ data string }

func newTable() *table { return &table{rows: map[string]*row{}} }

func (t *table) Dir(name string) (fsys.Dir, error) {
	if name != "locks" {
		return nil, fail("dir", name, fs.ErrNotExist)
	}
	return tableDir{t}, nil
}

type tableDir struct{ *table }

func fail(op, name string, err error) error {
	return &fs.PathError{Op: op, Path: filepath.Join("locks", name), Err: err}
}

func (tableDir) Path() string { return "locks" }

func (d tableDir) Create(name string, data []byte) (fsys.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.rows[name] != nil {
		return nil, fail("create", name, fs.ErrExist)
	}
	r := &row{string(data)}
	d.rows[name] = r
	return &tableFile{d, r}, nil
}

func (d tableDir) Read(name string) (fsys.Snapshot, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := d.rows[name]
	if r == nil {
		return fsys.Snapshot{}, fail("read", name, fs.ErrNotExist)
	}
	return fsys.Snapshot{Data: []byte(r.data)}, nil
}

func (d tableDir) Replace(_, newname string) error {
	return fail("replace", newname, errors.ErrUnsupported) // the lock can do without
}

func (d tableDir) Remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.rows[name] == nil {
		return fail("remove", name, fs.ErrNotExist)
	}
	delete(d.rows, name)
	return nil
}

func (d tableDir) List(prefix string) (names []string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for name := range d.rows {
		if strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	return names, nil
}

type tableFile struct {
	d tableDir
	r *row // nil after Close
}

func (f *tableFile) Intact(name string) (bool, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if f.r == nil {
		return false, fail("intact", name, fs.ErrClosed)
	}
	return f.d.rows[name] == f.r, nil
}

func (f *tableFile) Close() error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	f.r = nil
	return nil
}

// A backend of one's own is checked, and then holds a lock.
func Example() {
	fmt.Println(fsystest.Check(fsystest.Backend{
		New: func() (fsys.FS, string) { return newTable(), "locks" },
	}))

	mine := newTable()
	a, b := lock.New("locks", lock.WithFS(mine)), lock.New("locks", lock.WithFS(mine))
	fmt.Println(a.TryLock())
	fmt.Println(b.TryLock())
	fmt.Println(a.Unlock())
	// Output:
	// <nil>
	// true <nil>
	// false <nil>
	// <nil>
}

// In a test of the backend, every promise is a subtest.
func ExampleRun() {
	_ = func(t *testing.T) { // TestTable
		fsystest.Run(t, fsystest.Backend{
			New: func() (fsys.FS, string) { return newTable(), "locks" },
		})
	}
}
