//go:build unix

package osfs

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/dirlock/dirlock/fsys"
)

// A witness is a lock on the published file. Each kind of lock that a system has
// is in the file flock.go, ofd_linux.go or noflock.go:
//
//	lockNew(fd, strong)  takes the locks; strong: one that takes permission to write, too
//	probe(fd, strong)    asks for them, taking nothing that would disturb others

// takeWitness locks the new file, if files in this directory can be locked. It
// keeps what was promised, or fails.
func (f *osFile) takeWitness() error {
	known, err := f.d.facts()
	if err != nil {
		return err
	}
	a := f.d.memory.of(known)
	promised, asked := a.knownWitness()
	if asked && promised == fsys.NoWitness {
		return nil
	}
	f.locked, err = lockNew(f.fd, known.Local && (!asked || promised == fsys.Held))
	switch {
	case err == nil && !asked && f.locked == fsys.Held:
		// It is not known yet whether others see that. If not, they may see this.
		_, _ = lockNew(f.fd, false)
		return nil
	case err == nil:
		return nil
	case err == unix.EWOULDBLOCK:
		return errSwept // A sweep looks at it right now, and will remove it.
	case !asked && lacksLocks(err):
		f.unsure = !lacks(err)
		return nil
	}
	a.forgetWitness()
	return fmt.Errorf("lock the new file: %w", err)
}

// lacksLocks is lacks, for locks: ENOLCK is NFS without its lock daemon, but may
// also be a passing shortage.
func lacksLocks(err error) bool { return lacks(err) || err == unix.ENOLCK }

// witnesses tries it on a file that it makes for that.
func (d *dir) witnesses() (fsys.Witness, error) {
	known, err := d.facts()
	if err != nil {
		return fsys.NoWitness, err
	}
	a := d.memory.of(known)
	if kind, asked := a.knownWitness(); asked {
		return kind, nil
	}
	kind, sure, err := fsys.NoWitness, false, errMissing
	if known.Local && a.way.Load() == byUnnamed {
		kind, sure, err = d.tryUnnamed()
	}
	if err == errMissing {
		kind, sure, err = d.tryNamed(a)
	}
	if err != nil {
		return fsys.NoWitness, err
	}
	if sure {
		a.setWitness(kind)
	}
	return kind, nil
}

// tryUnnamed tries it on a file that nobody sees. Its creator opens it a second
// time, to see what others would.
func (d *dir) tryUnnamed() (kind fsys.Witness, sure bool, err error) {
	fd, err := openUnnamed(d.fd)
	if err != nil {
		return fsys.NoWitness, false, err
	}
	f := &osFile{d: d, fd: fd}
	defer f.Close()
	if err := f.takeWitness(); err != nil {
		return fsys.NoWitness, false, err
	}
	again, err := openAgain(fd)
	if err != nil {
		return fsys.NoWitness, false, errMissing
	}
	defer func() { _ = closeFD(again) }()
	return f.seen(probe(again, true)), !f.unsure, nil
}

// tryNamed tries whether the lock that a file got before it had its name is seen
// under that name. Where FUSE makes a file system of paths (sshfs, among
// others), the kernel takes two links of a file for two files.
func (d *dir) tryNamed(a *abilities) (kind fsys.Witness, sure bool, err error) {
	name := tempName()
	f, err := d.publishNew(a, name, nil)
	if err != nil {
		return fsys.NoWitness, false, err
	}
	s, err := d.read(name)
	_ = unlinkat(d.fd, name)
	f.Close()
	if err == unix.ENOENT { // A sweep did not see the lock.
		err = nil
	}
	return f.seen(s.Witness), !f.unsure, err
}

// seen is what can be promised of a file, when a probe said that.
func (f *osFile) seen(by fsys.Witness) fsys.Witness {
	if by == fsys.Free {
		return fsys.NoWitness
	}
	return min(by, f.locked)
}
