//go:build unix

package osfs

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/dirlock/dirlock/fsys"
)

const (
	leaseTries = 25
	leasePause = 2 * time.Millisecond
)

func (d *dir) read(name string) (fsys.Snapshot, error) {
	known, err := d.fresh()
	if isGone(err) {
		err = unix.ENOENT
	}
	if err != nil {
		return fsys.Snapshot{}, err
	}
	return d.readFile(name, known)
}

// fresh returns what is known of the directory, and sees to it that a network file
// system does not answer the next question about a name from its memory. Much is
// removed on the ground of such an answer. What another machine does between the
// answer and the removal, nobody can exclude.
func (d *dir) fresh() (*facts, error) {
	known, err := d.facts()
	if err == nil && !known.Local {
		err = d.refresh()
	}
	return known, err
}

func (d *dir) readFile(name string, known *facts) (fsys.Snapshot, error) {
	fd, err := d.openToLook(name)
	if err != nil {
		return fsys.Snapshot{}, err
	}
	defer func() { _ = closeFD(fd) }()
	s, err := look(fd, known.Local)
	if err == unix.ESTALE {
		err = unix.ENOENT
	}
	if err != nil {
		return fsys.Snapshot{}, err
	}
	return s, nil
}

// peek looks at a file of which it is not known where it is, so that its numbers
// may mean nothing.
func peek(path string) (fsys.Snapshot, error) {
	fd, err := openat(unix.AT_FDCWD, path, toLook, 0)
	if err != nil {
		return fsys.Snapshot{}, err
	}
	defer func() { _ = closeFD(fd) }()
	s, err := look(fd, true)
	s.ID = fsys.ID{}
	return s, err
}

// openToLook opens a file that anybody may have put there. It waits a moment for
// a process that has a lease on the file, or a delegation, to give it back
// (fcntl(2), F_SETLEASE).
func (d *dir) openToLook(name string) (int, error) {
	for try := 1; ; try++ {
		fd, err := openat(d.fd, name, toLook, 0)
		switch {
		case err == nil:
			return fd, nil
		case err == unix.ENOENT || err == unix.ESTALE:
			return -1, unix.ENOENT
		case err != unix.EWOULDBLOCK:
			return -1, d.openError(name, err)
		case try == leaseTries:
			return -1, fsys.ErrBusy
		}
		time.Sleep(leasePause)
	}
}

// openError finds out whether a file could not be opened because of what it is:
// systems have a number of errors for that (ELOOP, EMLINK, EFTYPE, ENXIO,
// EOPNOTSUPP, ENODEV, and EACCES for a device where mount(8) allows none).
func (d *dir) openError(name string, err error) error {
	var st unix.Stat_t
	if fstatat(d.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW) == nil && !isRegular(&st) {
		return notRegular(&st)
	}
	return err
}

func notRegular(st *unix.Stat_t) error {
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		return fsys.ErrDirectory
	}
	return fsys.ErrNotRegular
}

// look reads an open file. local says whether it is in a local directory.
func look(fd int, local bool) (s fsys.Snapshot, err error) {
	var st unix.Stat_t
	if err := fstat(fd, &st); err != nil {
		return s, err
	}
	if !isRegular(&st) {
		return s, notRegular(&st)
	}
	// The size is believed: a second read to see the end would cost as much as
	// the first one. Some file systems do not know it, and say 0.
	size := min(int64(st.Size), fsys.MaxData)
	if size <= 0 {
		size = fsys.MaxData
	}
	data := make([]byte, size)
	got := 0
	for got < len(data) {
		n, err := read(fd, data[got:])
		if err != nil {
			return s, err
		}
		if n == 0 {
			break
		}
		got += n
	}
	s.Data = data[:got]
	if local { // A server may give a file another number or time at any moment.
		sec, nsec := st.Ctim.Unix()
		s.ID = fsys.ID{uint64(st.Dev), uint64(st.Ino), uint64(sec)*1e9 + uint64(nsec)}
	}
	s.Witness = probe(fd, local)
	return s, nil
}

// sweepFile removes a temporary file unless a living process has locked it.
func (d *dir) sweepFile(name string) error {
	known, err := d.facts()
	if err != nil {
		return err
	}
	fd, err := d.openToLook(name)
	if err != nil {
		return err
	}
	defer func() { _ = closeFD(fd) }()
	var st unix.Stat_t
	if err := fstat(fd, &st); err != nil {
		return err
	}
	if !isRegular(&st) {
		return fsys.ErrNotRegular
	}
	// A creator that comes to lock it only now will find the name gone.
	if probe(fd, known.Local) != fsys.Free {
		return nil
	}
	return d.remove(name)
}
