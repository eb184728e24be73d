//go:build unix

package osfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dirlock/dirlock/fsys"
)

const osSupported = true

// The ways to make a file appear whole under a name that must be free, from
// the best to the last. A file system that lacks one has all the calls that
// lead to it fail, and the next one is tried.
const (
	byUnnamed uint32 = iota // an unnamed file that is linked in: the dead leave nothing (Linux)
	byLink                  // link(2) of a temporary file
	byRename                // a rename that refuses to replace (Linux, macOS)
	byGuard                 // a look and a plain rename, under a lock on the directory
)

// osState is what a directory remembers of its file system.
type osState struct {
	way atomic.Uint32 // the first way that was not found missing
}

// errMissing: the file system cannot do this, the next way may do.
var errMissing = errors.New("missing")

// errSwept: the temporary file was removed, by the sweep of a process that saw
// it before it was locked.
var errSwept = errors.New("temporary file was swept away")

// attempts bounds how often Create starts again after a sweep.
const attempts = 100

// osFile is a published file. It holds a bare descriptor and not an [os.File],
// which the garbage collector would close with the witness when a process that
// holds a lock for all its life forgets the handle.
//
// Without a witness it holds none: there is nothing to keep, and some network
// file systems and FUSE keep a file that is open, by another name, when it is
// removed.
type osFile struct {
	d        *osDir
	data     string
	dev, ino uint64

	locked bool // by the witness

	mu     sync.Mutex
	fd     int // -1 if it is not open
	closed bool
}

func (d *osDir) create(path string, data []byte) (*osFile, error) {
	// A file that was locked for nothing would be kept open.
	if local, err := d.localOnce(); err == nil && !local {
		if _, err := d.witnessesOnce(); err != nil {
			return nil, err
		}
	}
	return d.publishNew(path, data)
}

func (d *osDir) publishNew(path string, data []byte) (*osFile, error) {
	if d.way.Load() == byUnnamed {
		f, err := d.createUnnamed(path, data)
		if err != errMissing {
			return f, err
		}
		d.way.CompareAndSwap(byUnnamed, byLink)
	}
	for range attempts {
		f, err := d.createTemp(path, data)
		if err != errSwept {
			return f, err
		}
	}
	return nil, errSwept
}

func (d *osDir) createUnnamed(path string, data []byte) (*osFile, error) {
	f, err := d.unnamed(data)
	if err != nil {
		return nil, err
	}
	if err := f.linkAs(path); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// unnamed makes a file that lacks nothing but the name.
func (d *osDir) unnamed(data []byte) (*osFile, error) {
	fd, err := openUnnamed(d.path)
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
func (f *osFile) linkAs(path string) error {
	err := linkUnnamed(f.fd, path)
	if err != nil && f.links("") > 0 {
		err = nil // It was linked all the same: see publish.
	}
	if err == nil && !f.locked {
		_ = f.release() // What it holds was sent before it had a name.
	}
	return err
}

func (d *osDir) createTemp(path string, data []byte) (*osFile, error) {
	temp := d.tempName()
	fd, err := open(temp, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW, 0o644)
	if err != nil {
		return nil, err
	}
	f := &osFile{d: d, fd: fd}
	err = f.complete(data)
	if err == nil && !f.locked {
		err = f.release()
	}
	if err == nil {
		err = d.publish(f, temp, path)
	}
	if err != nil {
		// The lock goes after the name, so that nobody else sweeps it.
		unlink(temp)
		f.Close()
		return nil, err
	}
	return f, nil
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
	return f.identify()
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
	if local, err := f.d.localOnce(); err != nil || !local {
		if err := fsync(f.fd); err != nil && !lacks(err) {
			return err
		}
	}
	f.data = string(data)
	return nil
}

// identify finds out which file it is, and lets everybody read it.
func (f *osFile) identify() error {
	var st unix.Stat_t
	if err := fstat(f.fd, &st); err != nil {
		return err
	}
	f.dev, f.ino = uint64(st.Dev), uint64(st.Ino)
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

// takeWitness locks the new file, if files in this directory can be locked.
func (f *osFile) takeWitness() error {
	yes, known := f.d.witness.known()
	if known && !yes {
		return nil
	}
	err := flock(f.fd, lockExclusive)
	switch {
	case err == nil:
		f.locked = true
		return nil
	case err == unix.EWOULDBLOCK:
		return errSwept // A sweep looks at it right now, and will remove it.
	case !known && lacksLocks(err):
		return nil
	}
	return fmt.Errorf("lock the new file: %w", err)
}

// publish gives the temporary file its name, in the best way that there is.
func (d *osDir) publish(f *osFile, temp, path string) error {
	if d.way.Load() <= byLink {
		err := link(temp, path)
		if err != nil && f.links(temp) == 2 {
			// It was linked: a network file system lost the reply, and asked
			// again (open(2), O_EXCL and NFS).
			err = nil
		}
		if err == nil {
			unlink(temp)
			return nil
		}
		if !lacks(err) && err != unix.EPERM && err != unix.EACCES {
			return f.sweptOr(temp, err)
		}
		d.way.CompareAndSwap(byLink, byRename)
	}
	if d.way.Load() <= byRename {
		err := renameNew(temp, path)
		if err == nil {
			return nil
		}
		if !lacks(err) {
			return f.sweptOr(temp, err)
		}
		d.way.CompareAndSwap(byRename, byGuard)
	}
	return d.guarded(func() error {
		var st unix.Stat_t
		switch err := lstat(path, &st); err {
		case nil:
			return unix.EEXIST
		case unix.ENOENT:
			return f.sweptOr(temp, rename(temp, path))
		default:
			return err
		}
	})
}

// sweptOr says whether an operation on a temporary file failed because the file
// had been swept away.
func (f *osFile) sweptOr(temp string, err error) error {
	if err == unix.ENOENT && f.links(temp) == 0 {
		return errSwept
	}
	return err
}

// links returns the number of names of a file that has this one, unless it has
// none any more.
func (f *osFile) links(name string) uint64 {
	var st unix.Stat_t
	err := error(nil)
	if f.fd >= 0 {
		err = fstat(f.fd, &st)
	} else {
		err = lstat(name, &st)
	}
	if err != nil {
		return 0
	}
	return uint64(st.Nlink)
}

const (
	guardTries = 25
	guardPause = 2 * time.Millisecond
)

// guarded runs op while this process alone has a lock on the directory itself.
// A process that dies lets go of it. One that is stopped does not: then the
// others get ErrBusy, after guardTries.
//
// The lock excludes the processes of this kernel only, so the directory must
// be out of reach for every other.
func (d *osDir) guarded(op func() error) error {
	const lacking = "the file system has neither hard links nor a rename that refuses to replace"
	if local, err := d.localOnce(); err != nil {
		return err
	} else if !local {
		return fmt.Errorf("%s, and other machines may reach it: %w", lacking, errors.ErrUnsupported)
	}
	fd, err := open(d.path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer closeFD(fd)
	for range guardTries {
		err = flock(fd, lockExclusive)
		if err != unix.EWOULDBLOCK {
			break
		}
		time.Sleep(guardPause)
	}
	switch {
	case err == unix.EWOULDBLOCK:
		return fsys.ErrBusy
	case err != nil && lacksLocks(err):
		return fmt.Errorf("%s, and directories cannot be locked: %w", lacking, errors.ErrUnsupported)
	case err != nil:
		return err
	}
	// Closing is not enough while a child between fork and exec has it open.
	defer flock(fd, lockNone)
	return op()
}

// replace needs no guard: the name exists, so that whoever wants to create it
// finds it taken, before and after. It must not have to wait for one either,
// since it is the step that ends a recovery.
func (d *osDir) replace(oldpath, newpath string) error { return rename(oldpath, newpath) }

func remove(path string) error { return unlink(path) }

func read(path string) (fsys.Snapshot, error) {
	fd, err := open(path, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return fsys.Snapshot{}, openError(path, err)
	}
	defer closeFD(fd)
	var st unix.Stat_t
	if err := fstat(fd, &st); err != nil {
		return fsys.Snapshot{}, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return fsys.Snapshot{}, fsys.ErrNotRegular
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
		n, err := readFD(fd, data[got:])
		if err != nil {
			return fsys.Snapshot{}, err
		}
		if n == 0 {
			break
		}
		got += n
	}
	s := fsys.Snapshot{Data: data[:got], ID: statID(&st)}
	switch err := flock(fd, lockShared); err {
	case nil:
		s.Witness = fsys.Free // Closing lets go of it.
	case unix.EWOULDBLOCK:
		s.Witness = fsys.Held
	}
	return s, nil
}

// openError finds out whether a file could not be opened because of what it is:
// systems have a number of errors for that (ELOOP, EMLINK, EFTYPE, ENXIO,
// EOPNOTSUPP, ENODEV, and EACCES for a device where mount(8) allows none).
func openError(path string, err error) error {
	if err == unix.ENOENT {
		return err
	}
	var st unix.Stat_t
	if lstat(path, &st) == nil && st.Mode&unix.S_IFMT != unix.S_IFREG {
		return fsys.ErrNotRegular
	}
	return err
}

func statID(st *unix.Stat_t) fsys.ID {
	sec, nsec := st.Ctim.Unix()
	return fsys.ID{uint64(st.Dev), uint64(st.Ino), uint64(sec)*1e9 + uint64(nsec)}
}

// witnesses tries it on a file that it makes for that.
func (d *osDir) witnesses() (bool, error) {
	if local, err := d.localOnce(); err != nil || !local {
		return d.witnessesByName()
	}
	if d.way.Load() == byUnnamed {
		fd, err := openUnnamed(d.path)
		if err == nil {
			f := &osFile{d: d, fd: fd}
			err = f.takeWitness()
			f.Close()
			return f.locked, err
		}
		if err != errMissing {
			return false, err
		}
		d.way.CompareAndSwap(byUnnamed, byLink)
	}
	for range attempts {
		temp := d.tempName()
		fd, err := open(temp, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW, 0o644)
		if err != nil {
			return false, err
		}
		f := &osFile{d: d, fd: fd}
		err = f.takeWitness()
		unlink(temp)
		f.Close()
		if err != errSwept {
			return f.locked, err
		}
	}
	return false, errSwept
}

// witnessesByName also tries whether the lock that a file got before it had its
// name is seen under that name. Where FUSE makes a file system of paths (sshfs,
// among others), the kernel takes two links of a file for two files.
func (d *osDir) witnessesByName() (bool, error) {
	path := d.tempName()
	f, err := d.publishNew(path, nil)
	if err != nil {
		return false, err
	}
	s, err := read(path)
	unlink(path)
	f.Close()
	if err == unix.ENOENT { // A sweep did not see the lock.
		err = nil
	}
	return s.Witness == fsys.Held, err
}

// sweep removes a temporary file unless a living process has locked it.
func sweep(path string) error {
	fd, err := open(path, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return openError(path, err)
	}
	defer closeFD(fd)
	var st unix.Stat_t
	if err := fstat(fd, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return fsys.ErrNotRegular
	}
	if flock(fd, lockShared) != nil {
		return nil
	}
	return unlink(path)
}

func (f *osFile) intact(path string) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return false, fs.ErrClosed
	}
	var st unix.Stat_t
	switch err := lstat(path, &st); {
	case err == unix.ENOENT || err == unix.ENOTDIR:
		return false, nil
	case err != nil:
		return false, err
	case st.Mode&unix.S_IFMT != unix.S_IFREG || int64(st.Size) != int64(len(f.data)):
		return false, nil
	case f.fd < 0:
		return f.sameData(path)
	case uint64(st.Dev) != f.dev || uint64(st.Ino) != f.ino:
		// While the descriptor is open the inode number is not used again, so
		// that an equal number is this file.
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

// sameData is intact where the file is not open: its number may be used again
// then, and some file systems change it at will. So the data alone tells.
func (f *osFile) sameData(path string) (bool, error) {
	s, err := read(path)
	switch err {
	case nil:
		return string(s.Data) == f.data, nil
	case unix.ENOENT, unix.ENOTDIR, fsys.ErrNotRegular:
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
	return closeFD(fd)
}

// lacks reports whether err says that the file system or the kernel does not
// have the operation.
func lacks(err error) bool {
	return err == errMissing || err == unix.EINVAL || errors.Is(err, errors.ErrUnsupported)
}

// lacksLocks is lacks, for flock: ENOLCK is NFS without its lock daemon.
func lacksLocks(err error) bool { return lacks(err) || err == unix.ENOLCK }

// openDir opens a directory for reading its names, and nothing else: what took
// its place must not be opened, a FIFO would block.
func openDir(path string) (*os.File, error) {
	fd, err := open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), path), nil
}

// The system calls, each until it is not interrupted by a signal. A link or a
// rename that was interrupted has not been done (a network file system that
// lost the reply is another matter: see publish).

func open(path string, flags int, mode uint32) (int, error) {
	for {
		fd, err := unix.Open(path, flags|unix.O_CLOEXEC, mode)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

func fstat(fd int, st *unix.Stat_t) error {
	for {
		if err := unix.Fstat(fd, st); err != unix.EINTR {
			return err
		}
	}
}

func lstat(path string, st *unix.Stat_t) error {
	for {
		if err := unix.Lstat(path, st); err != unix.EINTR {
			return err
		}
	}
}

func fsync(fd int) error {
	for {
		if err := unix.Fsync(fd); err != unix.EINTR {
			return err
		}
	}
}

func fchmod(fd int, mode uint32) error {
	for {
		if err := unix.Fchmod(fd, mode); err != unix.EINTR {
			return err
		}
	}
}

func readFD(fd int, p []byte) (int, error) {
	for {
		n, err := unix.Read(fd, p)
		if err != unix.EINTR {
			return n, err
		}
	}
}

func pread(fd int, p []byte, off int64) (int, error) {
	for {
		n, err := unix.Pread(fd, p, off)
		if err != unix.EINTR {
			return n, err
		}
	}
}

func pwrite(fd int, p []byte, off int64) (int, error) {
	for {
		n, err := unix.Pwrite(fd, p, off)
		if err != unix.EINTR {
			return n, err
		}
	}
}

func ftruncate(fd int, size int64) error {
	for {
		if err := unix.Ftruncate(fd, size); err != unix.EINTR {
			return err
		}
	}
}

func link(oldpath, newpath string) error {
	for {
		if err := syscall.Link(oldpath, newpath); err != unix.EINTR {
			return err
		}
	}
}

func rename(oldpath, newpath string) error {
	for {
		if err := syscall.Rename(oldpath, newpath); err != unix.EINTR {
			return err
		}
	}
}

func unlink(path string) error {
	for {
		if err := unix.Unlink(path); err != unix.EINTR {
			return err
		}
	}
}

// closeFD does not try again: the descriptor is gone even if close(2) was
// interrupted, and may be somebody else's by now.
func closeFD(fd int) error {
	if err := unix.Close(fd); err != unix.EINTR {
		return err
	}
	return nil
}
