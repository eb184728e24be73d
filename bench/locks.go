package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	filemutex "github.com/alexflint/go-filemutex"
	"github.com/gofrs/flock"
	"github.com/juju/fslock"
	"github.com/nightlyone/lockfile"
	"github.com/rogpeppe/go-internal/lockedfile"
	"golang.org/x/sys/unix"

	"github.com/dirlock/dirlock/lock"
)

// Lock is what every contender must be able to do.
type Lock interface {
	// TryLock fails with errors.ErrUnsupported if the library has none.
	TryLock() (bool, error)
	// Lock waits. Libraries that cannot wait are polled, see polled.
	Lock() error
	Unlock() error
}

// Contender is one library.
type Contender struct {
	Name   string
	Import string // what a user imports
	Open   func(dir string) Lock
	Polled bool // it cannot wait
	Shared bool // it has two owners at times, who lose step in C and E
}

const baseline = "gofrs/flock"

// contenders are in the order of the tables. The first one is what the others
// are compared with.
var contenders = []Contender{
	{Name: baseline, Import: "github.com/gofrs/flock", Open: func(dir string) Lock { return gofrs{flock.New(filepath.Join(dir, "lock"))} }},
	ours,
	{Name: "nightlyone/lockfile", Import: "github.com/nightlyone/lockfile", Open: openNightlyone, Polled: true},
	{Name: "juju/fslock", Import: "github.com/juju/fslock", Open: func(dir string) Lock { return juju{fslock.New(filepath.Join(dir, "lock"))} }},
	{Name: "go-filemutex", Import: "github.com/alexflint/go-filemutex", Open: openFilemutex},
	{Name: "lockedfile", Import: "github.com/rogpeppe/go-internal/lockedfile", Open: func(dir string) Lock {
		return &locked{mutex: lockedfile.MutexAt(filepath.Join(dir, "lock"))}
	}},
}

var ours = Contender{Name: "dirlock", Import: "github.com/dirlock/dirlock/lock", Open: func(dir string) Lock { return lock.New(dir) }}

// floor is the bare system calls of the cheapest way to publish a whole file
// and to remove it. It is no lock: it does not survive its owner.
var floor = Contender{Name: "bare system calls", Open: func(dir string) Lock { return &bare{dir: dir, path: filepath.Join(dir, "L0")} }}

// checked is the bare system calls of a lock that keeps dirlock's promises: a
// witness on the file, a mode that lets everybody read it, and a look before it
// is removed.
var checked = Contender{Name: "bare, with what is promised", Open: func(dir string) Lock {
	return &careful{bare: bare{dir: dir, path: filepath.Join(dir, "L0")}}
}}

// deaf is dirlock without events, as it is where the system has none.
var deaf = Contender{Name: "dirlock without events", Open: func(dir string) Lock { return lock.New(dir, lock.WithoutEvents()) }}

// waiting are those that are compared as waiters.
func waiting() []Contender {
	if len(builds) > 0 {
		return contenders
	}
	return append(contenders[:len(contenders):len(contenders)], deaf)
}

func contender(full string) Contender {
	name, _, _ := strings.Cut(full, "@") // which build of it: see builds
	for _, c := range append(append(waiting(), floor, checked, ours), forReading...) {
		if c.Name == name {
			c.Name = full
			return c
		}
	}
	panic("no contender " + name)
}

// poll is how often a library that cannot wait is asked again.
const poll = time.Millisecond

func polled(try func() (bool, error)) error {
	for {
		if ok, err := try(); ok || err != nil {
			return err
		}
		time.Sleep(poll)
	}
}

// mustLock is Lock, again if it fails because a file is gone: nightlyone/lockfile
// reads a file that its owner may have removed meanwhile, and says so.
func mustLock(l Lock) {
	err := l.Lock()
	for errors.Is(err, fs.ErrNotExist) {
		err = l.Lock()
	}
	check(err)
}

type gofrs struct{ *flock.Flock }

type juju struct{ l *fslock.Lock }

func (l juju) Lock() error   { return l.l.Lock() }
func (l juju) Unlock() error { return l.l.Unlock() }

func (l juju) TryLock() (bool, error) {
	err := l.l.TryLock()
	if errors.Is(err, fslock.ErrLocked) {
		return false, nil
	}
	return err == nil, err
}

type mutex struct{ *filemutex.FileMutex }

func openFilemutex(dir string) Lock {
	m, err := filemutex.New(filepath.Join(dir, "lock"))
	check(err)
	return mutex{m}
}

func (l mutex) TryLock() (bool, error) {
	err := l.FileMutex.TryLock()
	if errors.Is(err, filemutex.AlreadyLocked) {
		return false, nil
	}
	return err == nil, err
}

type locked struct {
	mutex  *lockedfile.Mutex
	unlock func()
}

func (l *locked) TryLock() (bool, error) { return false, errors.ErrUnsupported }
func (l *locked) Lock() (err error)      { l.unlock, err = l.mutex.Lock(); return err }
func (l *locked) Unlock() error          { l.unlock(); return nil }

type nightlyone struct{ lockfile.Lockfile }

func openNightlyone(dir string) Lock {
	l, err := lockfile.New(filepath.Join(dir, "lock"))
	check(err)
	return nightlyone{l}
}

func (l nightlyone) Lock() error { return polled(l.TryLock) }

func (l nightlyone) TryLock() (bool, error) {
	err := l.Lockfile.TryLock()
	var temporary interface{ Temporary() bool }
	if errors.As(err, &temporary) && temporary.Temporary() {
		return false, nil
	}
	return err == nil, err
}

// bare publishes and removes a file, and nothing else.
type bare struct{ dir, path string }

var bareData = make([]byte, 280)

func (l *bare) Lock() error { return errors.ErrUnsupported }
func (l *bare) TryLock() (bool, error) {
	fd, err := unix.Open(l.dir, unix.O_TMPFILE|unix.O_WRONLY|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return false, err
	}
	defer unix.Close(fd)
	if _, err := unix.Write(fd, bareData); err != nil {
		return false, err
	}
	return true, unix.Linkat(fd, "", unix.AT_FDCWD, l.path, unix.AT_EMPTY_PATH)
}
func (l *bare) Unlock() error { return unix.Unlink(l.path) }

type careful struct {
	bare
	fd int
}

func (l *careful) TryLock() (ok bool, err error) {
	if l.fd, err = unix.Open(l.dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o644); err != nil {
		return false, err
	}
	if err = unix.Flock(l.fd, unix.LOCK_EX|unix.LOCK_NB); err == nil {
		_, err = unix.Pwrite(l.fd, bareData, 0)
	}
	if err == nil {
		err = unix.Fstat(l.fd, new(unix.Stat_t))
	}
	if err == nil {
		err = unix.Linkat(l.fd, "", unix.AT_FDCWD, l.path, unix.AT_EMPTY_PATH)
	}
	if err != nil {
		unix.Close(l.fd)
	}
	return err == nil, err
}

func (l *careful) Unlock() error {
	var st unix.Stat_t
	if err := unix.Lstat(l.path, &st); err != nil {
		return err
	}
	if _, err := unix.Pread(l.fd, make([]byte, len(bareData)), 0); err != nil {
		return err
	}
	return errors.Join(unix.Unlink(l.path), unix.Close(l.fd))
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}
