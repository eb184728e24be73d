//go:build unix

package osfs

import (
	"io/fs"

	"golang.org/x/sys/unix"

	"github.com/dirlock/dirlock/fsys"
)

// Place implements [fsys.Placer]. If the whole path of the file leads to it, and
// it has no other name, so does the name of its directory: that takes no more
// calls than Intact.
func (f *osFile) Place(name string) (fsys.Place, error) {
	d := f.d
	err := d.beginFile(name)
	place := fsys.Gone
	if err == nil {
		place, err = f.placeIn(d, name)
		d.end()
	}
	if err != nil {
		return fsys.Gone, pathError("intact", d.prefix+name, err)
	}
	return place, nil
}

func (f *osFile) placeIn(d *dir, name string) (fsys.Place, error) {
	if here, err := f.byPath(d, name); here || err != nil {
		return fsys.Here, err
	}
	lead := d.named.lead(d, name, f)
	if lead == elsewhere {
		return fsys.Replaced, nil
	}
	ok, err := f.intactIn(d, name)
	switch {
	case err != nil || !ok:
		return fsys.Gone, err
	case lead == nowhere:
		return fsys.Moved, nil
	}
	return fsys.Here, nil
}

// byPath tells whether the path of the file proves all. A file that is not open
// is known by what it holds alone, and a copy holds the same.
func (f *osFile) byPath(d *dir, name string) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return false, fs.ErrClosed
	}
	known, err := d.fresh()
	if err != nil {
		return false, err
	}
	var st unix.Stat_t
	if f.fd < 0 || d.named.lost || fstatat(unix.AT_FDCWD, d.named.pathOf(name), &st, unix.AT_SYMLINK_NOFOLLOW) != nil ||
		st.Nlink != 1 || idOf(&st) != f.id {
		return false, nil
	}
	return f.intact(d, name, known, &st, nil)
}

// lead says where the name of a directory leads.
type lead uint8

const (
	hither lead = iota // to the directory that is open, or it cannot be told
	elsewhere
	nowhere
)

// lead tells where the name leads by now, compared with d, in which f was made
// with that name.
func (n *named) lead(d *dir, name string, f *osFile) lead {
	id, err := n.leadsTo()
	if err == nil && d.isThis(id) {
		return hither
	}
	if root, e := rootID(); e != nil || root != n.root {
		return hither
	}
	switch err {
	case nil:
		if f.seenThere(d, name) {
			return hither
		}
		return elsewhere
	case unix.ENOENT, unix.ENOTDIR, unix.ELOOP:
		if n.upElsewhere() {
			return elsewhere
		}
		return nowhere
	}
	return hither
}

// upElsewhere tells whether the directory in which this one is has been replaced by
// one that has none of its name. The numbers of directories must mean something.
func (n *named) upElsewhere() bool {
	if n.up == nil || !n.up.asked.Load() || !n.up.known.Direct {
		return false
	}
	id, err := n.up.named.leadsTo()
	return err == nil && id != n.up.known.id
}

// leadsTo finds the directory as open does, but does not open it.
func (n *named) leadsTo() (fileID, error) {
	var st unix.Stat_t
	err := error(unix.EACCES) // it cannot be told
	if !n.lost {
		err = fstatat(unix.AT_FDCWD, n.prefix+".", &st, 0)
	}
	if err != nil && n.relative != "" && n.stillThere() {
		err = fstatat(unix.AT_FDCWD, withSeparator(n.relative)+".", &st, 0)
	}
	return idOf(&st), err
}

// isThis tells whether the directory is the one that is open. Some file systems
// give one another number after a while.
func (d *dir) isThis(id fileID) bool {
	if known, err := d.facts(); err != nil || known.id == id {
		return true
	}
	var st unix.Stat_t
	return fstat(d.fd, &st) != nil || idOf(&st) == id
}

// seenThere tells whether the path leads to a file like f, where the numbers of
// directories may mean little.
func (f *osFile) seenThere(d *dir, name string) bool {
	if known, err := d.facts(); err != nil || known.Direct {
		return err != nil
	}
	s, err := peek(d.named.pathOf(name))
	return err == nil && string(s.Data) == f.data
}
