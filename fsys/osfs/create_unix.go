//go:build unix

package osfs

import (
	"golang.org/x/sys/unix"

	"github.com/dirlock/dirlock/fsys"
)

// The ways to make a file appear whole under a name that must be free, from
// the best to the last. A file system that lacks one has all the calls that
// lead to it fail, and the next one is tried.
const (
	byUnnamed uint32 = iota // an unnamed file that is linked in: the dead leave nothing (Linux)
	byLink                  // link(2) of a temporary file
	byRename                // a rename that refuses to replace (Linux, macOS)
	byGuard                 // a look and a plain rename, under a lock that all creators share
)

// attempts bounds how often Create starts again after a sweep.
const attempts = 100

func (d *dir) create(name string, data []byte) (*osFile, error) {
	known, err := d.facts()
	if err != nil {
		return nil, err
	}
	if !known.Local {
		// A file that was locked for nothing would be kept open.
		if _, err := d.witnesses(); err != nil {
			return nil, err
		}
	}
	return d.publishNew(d.memory.of(known), name, data)
}

func (d *dir) publishNew(a *abilities, name string, data []byte) (*osFile, error) {
	if a.way.Load() == byUnnamed {
		f, err := d.createUnnamed(name, data)
		if err != errMissing {
			return f, err
		}
	}
	for range attempts {
		f, err := d.createTemp(a, name, data)
		if err == nil {
			a.lacks(byUnnamed) // It was not the directory that refused it.
		}
		if err != errSwept {
			return f, err
		}
	}
	return nil, errSwept
}

func (d *dir) createUnnamed(name string, data []byte) (*osFile, error) {
	f, err := d.unnamed(data)
	if err != nil {
		return nil, err
	}
	if err := f.linkAs(d, name); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// unnamed makes a file that lacks nothing but the name.
func (d *dir) unnamed(data []byte) (*osFile, error) {
	fd, err := openUnnamed(d.fd)
	if err != nil {
		return nil, err
	}
	f := &osFile{d: d, fd: fd}
	if err := f.complete(data); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// linkAs publishes an unnamed file.
func (f *osFile) linkAs(d *dir, name string) error {
	if err := f.gotName(d, name, linkUnnamed(f.fd, d.fd, name)); err != nil {
		return err
	}
	if a, err := d.abilities(); err == nil {
		a.unnamed.Store(true)
	}
	f.keep()
	return nil
}

// gotName says whether the file got its name, by what a call returned that was
// to give it the name. An error does not mean that it has not: a network file
// system can lose a reply, and be told that the name exists when it asks again
// (open(2), O_EXCL and NFS). How many names the file has proves nothing, for
// anybody can give it more. It is the name that has to be this file.
func (f *osFile) gotName(d *dir, name string, err error) error {
	if err == nil {
		return nil
	}
	if _, e := d.fresh(); e == nil && d.is(name, f.id) {
		return nil
	}
	return err
}

// keep closes a file that carries no witness, once it is published.
func (f *osFile) keep() {
	if f.locked == fsys.NoWitness {
		_ = f.release() // What it holds was sent before it had a name.
	}
}

func (d *dir) createTemp(a *abilities, name string, data []byte) (*osFile, error) {
	temp := tempName()
	fd, err := openat(d.fd, temp, toMake, 0o644)
	if err != nil {
		return nil, err
	}
	f := &osFile{d: d, fd: fd}
	err = f.complete(data)
	if err == nil {
		err = d.publish(a, f, temp, name)
	}
	// By another machine: its server does not know the file any more. Or on a FUSE
	// file system that goes by paths.
	if err == unix.ESTALE || f.sweptOr(d, temp, err) == errSwept {
		err = errSwept
	}
	if err != nil {
		// The lock goes after the name, so that nobody else sweeps it.
		_ = unlinkat(d.fd, temp)
		f.Close()
		return nil, err
	}
	f.keep()
	return f, nil
}

// publish gives the temporary file its name, in the best way that there is.
func (d *dir) publish(a *abilities, f *osFile, temp, name string) error {
	if a.way.Load() <= byLink {
		err := f.gotName(d, name, d.link(temp, name))
		if err == nil {
			f.keep() // One that is open is not removed at once, by some.
			_ = unlinkat(d.fd, temp)
			return nil
		}
		if !lacks(err) && err != unix.EPERM && err != unix.EACCES {
			return f.sweptOr(d, temp, err)
		}
		a.lacks(byLink)
	}
	if a.way.Load() <= byRename {
		err := f.gotName(d, name, renameNew(d.fd, temp, name))
		if err == nil {
			return nil
		}
		if !lacks(err) {
			return f.sweptOr(d, temp, err)
		}
		a.lacks(byRename)
	}
	return d.guarded(func() error {
		var st unix.Stat_t
		switch err := fstatat(d.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW); err {
		case nil:
			return unix.EEXIST
		case unix.ENOENT:
			err := f.gotName(d, name, renameat(d.fd, temp, name))
			// A directory was made since, which takes no guard; and may be gone by
			// now, which exfat-fuse finds between its own steps.
			if err == unix.EISDIR || err == unix.ENOENT && d.is(temp, f.id) {
				return unix.EEXIST
			}
			return f.sweptOr(d, temp, err)
		default:
			return err
		}
	})
}

// sweptOr says whether an operation on a temporary file failed because the file
// had been swept away.
func (f *osFile) sweptOr(d *dir, temp string, err error) error {
	if err == unix.ENOENT && !d.is(temp, f.id) {
		return errSwept
	}
	return err
}

// replace needs no guard: the name exists, so that a process that wants to
// create it finds it taken, before and after. It must not have to wait for one
// either, since it is the step that ends a recovery.
func (d *dir) replace(oldname, newname string) error {
	var old unix.Stat_t
	if err := fstatat(d.fd, oldname, &old, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	err := renameat(d.fd, oldname, newname)
	if err != nil && !refused(err) && d.is(newname, idOf(&old)) && !d.is(oldname, idOf(&old)) {
		return nil
	}
	return err
}

func (d *dir) remove(name string) error {
	err := unlinkat(d.fd, name)
	if err == nil || err == unix.ENOENT || refused(err) {
		return err
	}
	var st unix.Stat_t
	if isGone(fstatat(d.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW)) {
		return nil
	}
	return err
}
