//go:build unix

package osfs

import (
	"io/fs"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/dirlock/dirlock/fsys"
)

// osFile is a published file. It holds a bare descriptor and not an [os.File],
// which the garbage collector would close with the witness when a process that
// holds a lock for all its life forgets the handle.
//
// Without a witness it holds none: there is nothing to keep, and some network
// file systems and FUSE keep a file that is open, by another name, when it is
// removed.
type osFile struct {
	d      *dir
	data   string
	id     fileID
	locked fsys.Witness // Held or HeldWeakly, or NoWitness
	unsure bool         // locked is less than there may be at another time

	mu     sync.Mutex
	fd     int  // -1 if it is not open
	shared bool // by Dup
	closed bool
}

// complete makes of an empty file one that can be published: locked, filled,
// and readable.
func (f *osFile) complete(data []byte) error {
	if err := f.takeWitness(); err != nil {
		return err
	}
	if err := f.fill(data); err != nil {
		return err
	}
	return f.statAndShare()
}

// fill writes data into the file, while nobody knows its name.
func (f *osFile) fill(data []byte) error {
	for done := 0; done < len(data); {
		n, err := pwrite(f.fd, data[done:], int64(done))
		if err != nil {
			return err
		}
		done += n
	}
	if len(data) < len(f.data) { // of an attempt before
		if err := ftruncate(f.fd, int64(len(data))); err != nil {
			return err
		}
	}
	// Over a network others would find an empty file, until this machine gets
	// round to sending the data, or fails to. What a machine that loses power
	// leaves on its own disk is incomplete too, but then its owner is dead.
	if known, err := f.d.facts(); err != nil || !known.Local {
		if err := fsync(f.fd); err != nil && !lacks(err) {
			return err
		}
	}
	f.data = string(data)
	return nil
}

// statAndShare finds out which file it is, and lets everybody read it.
func (f *osFile) statAndShare() error {
	var st unix.Stat_t
	if err := fstat(f.fd, &st); err != nil {
		return err
	}
	f.id = idOf(&st)
	// The umask, or a default ACL, must not hide the record from others. Some
	// file systems have one mode for all files, by a mount option, and refuse:
	// then this is what its owner wanted.
	if st.Mode&0o444 != 0o444 {
		err := fchmod(f.fd, 0o644)
		if err != nil && !lacks(err) && err != unix.EPERM {
			return err
		}
	}
	return nil
}

func (f *osFile) intactIn(d *dir, name string) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var st unix.Stat_t
	if f.closed {
		return false, fs.ErrClosed
	}
	known, err := d.fresh()
	if err == nil {
		err = fstatat(d.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW)
	}
	return f.intact(d, name, known, &st, err)
}

// intact is intactIn for what the system has said of the name.
func (f *osFile) intact(d *dir, name string, known *facts, st *unix.Stat_t, err error) (bool, error) {
	switch {
	case isGone(err):
		return false, nil
	case err != nil:
		return false, err
	case !isRegular(st) || int64(st.Size) != int64(len(f.data)):
		return false, nil
	case f.fd < 0:
		return f.sameData(d, name, known)
	case idOf(st) != f.id:
		return false, nil
	}
	var buf [fsys.MaxData]byte
	got := 0
	for got < len(f.data) {
		n, err := pread(f.fd, buf[got:len(f.data)], int64(got))
		if err != nil {
			return false, err
		}
		if n == 0 {
			break
		}
		got += n
	}
	return string(buf[:got]) == f.data, nil
}

// sameData is intactIn where the file is not open: its number may be used again
// then, and some file systems change it at will. So the data alone tells.
func (f *osFile) sameData(d *dir, name string, known *facts) (bool, error) {
	s, err := d.readFile(name, known)
	switch err {
	case nil:
		return string(s.Data) == f.data, nil
	case unix.ENOENT, unix.ENOTDIR, fsys.ErrNotRegular, fsys.ErrDirectory:
		return false, nil
	case unix.EACCES: // Our own can be read.
		return false, nil
	}
	return false, err
}

func (f *osFile) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	err := error(fs.ErrClosed)
	if !f.closed {
		f.closed = true
		err = f.release()
	}
	if err != nil {
		return pathError("close", f.d.path, err)
	}
	return nil
}

// release closes the descriptor, if there is one.
func (f *osFile) release() error {
	if f.fd < 0 {
		return nil
	}
	fd := f.fd
	f.fd = -1
	if f.shared {
		letPass(fd)
	}
	return closeFD(fd)
}
