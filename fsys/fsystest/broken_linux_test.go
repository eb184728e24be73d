package fsystest_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/dirlock/dirlock/fsys"
	"github.com/dirlock/dirlock/fsys/fsystest"
	"github.com/dirlock/dirlock/fsys/osfs"
)

// exclusiveFS probes the witness with an exclusive lock, which other probers
// take for the owner's.
type exclusiveFS struct{ fsys.FS }

func (f exclusiveFS) Dir(name string) (fsys.Dir, error) {
	d, err := f.FS.Dir(name)
	return exclusiveDir{d}, err
}

type exclusiveDir struct{ fsys.Dir }

func (d exclusiveDir) Witnesses() (fsys.Witness, error) { return fsys.Witnesses(d.Dir) }

func (d exclusiveDir) Read(name string) (fsys.Snapshot, error) {
	operations.Add(1)
	s, err := d.Dir.Read(name)
	if err != nil {
		return s, err
	}
	fd, err := unix.Open(d.Path()+"/"+name, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	defer unix.Close(fd)
	s.Witness = fsys.Free
	if unix.FcntlFlock(uintptr(fd), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK}) != nil {
		s.Witness = fsys.Held
	}
	meanwhile()
	return s, nil
}

func TestBrokenProbe(t *testing.T) {
	err := fsystest.Check(fsystest.Backend{New: func() (fsys.FS, string) { return exclusiveFS{osfs.New()}, t.TempDir() }})
	require.ErrorContains(t, err, "witness probes: beside other probers the witness is held, want free")
}
