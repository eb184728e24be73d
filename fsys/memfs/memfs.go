// Package memfs is a file system in memory for tests: of code that uses a lock,
// and of package lock itself.
//
// It is as strict as POSIX. Every operation is atomic, a name leads to a file
// with an identity of its own, and a file that is open stays the same file when
// it is renamed. Invented processes and machines share it:
//
//	processes := proctest.NewFake()
//	server, backup := processes.Start("server"), processes.Start("backup")
//	disk := memfs.New("/srv/data")
//	a := lock.New("/srv/data", lock.WithFS(disk.As(server)), lock.WithProcesses(server))
//	b := lock.New("/srv/data", lock.WithFS(disk.As(backup)), lock.WithProcesses(backup))
//
// When the server is killed, the kernel lets go of the locks on its files, and
// whatever its code still does fails with [os.ErrProcessDone]. Processes of
// another machine share the files, but see nobody's locks on them.
//
// An [Option] takes abilities away, or makes events late. Methods of [Disk], such
// as [Disk.Remove] and [Disk.Put], do what other programs can do to a directory.
// They panic if that is impossible, for example because a directory is missing:
// the test is wrong then. [Disk.Before] gives a test control of every single
// operation.
//
// With [Leased] it is a store such as etcd, in which files hang on leases: see
// [fsys.Swapper].
//
// There are no background goroutines, and only late events need a clock, so that a
// disk works inside a bubble of testing/synctest.
package memfs

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"time"

	"github.com/dirlock/dirlock/fsys"
	"github.com/dirlock/dirlock/proc"
)

// Disk is a file system in memory. Used as an [fsys.FS] itself, it stands for a
// process that never dies, and whose locks every machine sees. Use [Disk.As] for
// processes that can be killed. All methods are safe for concurrent use.
type Disk struct {
	files *files
	conf  *config
}

// New returns a disk with one empty directory. Unless options say otherwise,
// only one machine can reach it, it vouches for owners with [fsys.Held], and its
// directories have all optional interfaces of package fsys but [fsys.Peeker],
// [fsys.Sweeper] and [fsys.Contexter]. Its files are no [fsys.Inheritor].
func New(dir string, options ...Option) *Disk {
	d := &Disk{newFiles(), &config{
		witness:  fsys.Held,
		location: fsys.Location{Local: true, Type: "memfs", Mount: "memfs1", Direct: true},
	}}
	d.Set(options...)
	d.Mkdir(dir)
	return d
}

// Set changes what the disk can do, from now on.
func (d *Disk) Set(options ...Option) {
	d.files.mu.Lock()
	defer d.files.mu.Unlock()
	for _, option := range options {
		option(d.conf)
	}
}

// Mount returns another disk with the same files, as if the file system were
// mounted a second time, over a network or in an overlay. The kernel takes what it
// finds there for other files: a lock that is held by way of one mount is not seen
// by way of the other. Unless the options say otherwise, it can do what this one
// can, and its [fsys.Location] has another Mount and is not Direct.
func (d *Disk) Mount(options ...Option) *Disk {
	indirect := func(c *config) { c.location.Direct = false }
	return &Disk{d.files, d.newConfig(append([]Option{indirect}, options...))}
}

// newConfig returns that of another mount.
func (d *Disk) newConfig(options []Option) *config {
	d.files.mu.Lock()
	defer d.files.mu.Unlock()
	conf := *d.conf
	d.files.mounts++
	conf.location.Mount = "memfs" + strconv.Itoa(d.files.mounts)
	for _, option := range options {
		option(&conf)
	}
	return &conf
}

// As returns the disk as a process sees it. The process is usually a
// *proctest.FakeProcess. Two calls with the same one return equal values.
func (d *Disk) As(process proc.Table) fsys.FS { return view{d, process} }

// Dir implements [fsys.FS]. A relative name is one below "/".
func (d *Disk) Dir(name string) (fsys.Dir, error) { return view{d, nil}.Dir(name) }

// Before has f called ahead of every operation, by the goroutine that does it. If
// f returns an error, the operation fails with it, and changes nothing; see
// [ButDone] for one that fails all the same. While f runs, the disk may be used
// and changed, and processes killed. If f panics, so does the operation, which
// has not been done. A nil f calls nothing.
func (d *Disk) Before(f func(Op) error) {
	d.files.mu.Lock()
	defer d.files.mu.Unlock()
	d.files.before = f
}

// Op is an operation that is about to begin.
type Op struct {
	// Process is what [Disk.As] was given, or nil.
	Process proc.Table
	// Name is that of the method, in lower case: "create" (for CreateIn, too),
	// "read", "replace", "remove", "list", "open", "witnesses", "locate", "watch",
	// "prepare", "intact" (for Place, too), "mkdir", "rmdir", "named", "swap", "remove if" (that of a
	// File) or "close". In the middle of a Read, "witness"
	// comes between the data and the question for the file's witness; if that
	// fails, the answer is [fsys.NoWitness].
	Name string
	// Dir is the path of the directory.
	Dir string
	// File is the name, or the prefix, that the operation is about: "." if it is
	// the directory itself that is opened, watched or closed, and empty if a file is closed,
	// or a directory and those above it are made.
	File string
	// To is the name that a file is renamed to.
	To string
}

// String returns the operation without process and directory: "replace L1 L0".
func (o Op) String() string {
	s := o.Name
	for _, name := range []string{o.File, o.To} {
		if name != "" {
			s += " " + name
		}
	}
	return s
}

// ButDone is for [Disk.Before]: the operation is done, and fails with err all
// the same, as if the answer had got lost on its way.
func ButDone(err error) error { return butDone{err} }

type butDone struct{ error }

// ButLater is for [Disk.Before]: the operation fails with err, and is done all the
// same when [Disk.Arrive] is called, whether its process lives by then or not. It is
// a request whose answer is not waited for any more.
func ButLater(err error) error { return butLater{err} }

type butLater struct{ error }

// Option takes an ability away, or changes it. See [New] and [Disk.Set].
type Option func(*config)

// Leased makes it a store in which files hang on leases. It vouches for owners with
// [fsys.Leased] instead of locks of a kernel, replaces and removes a file only if it
// is still the same, and has fencing tokens. A lease ends by [Disk.EndLease] and when
// its owner closes the file, but not by itself when the owner dies. The file is
// removed then.
func Leased() Option {
	return func(c *config) {
		c.leased, c.witness, c.location = true, fsys.Leased, fsys.Location{Type: "store", Mount: "store1"}
	}
}

type config struct {
	leased    bool
	witness   fsys.Witness
	location  fsys.Location
	noIDs     bool
	noReplace bool
	noPrepare bool
	noNesting bool
	noEvents  bool
	lost      bool
	late      time.Duration
}

// Witness sets how the kernel vouches for files: by Held, by HeldWeakly, or by
// NoWitness, which is not at all. It applies to files that are created later.
func Witness(kind fsys.Witness) Option { return func(c *config) { c.witness = kind } }

// Location sets what Locate answers.
func Location(l fsys.Location) Option { return func(c *config) { c.location = l } }

// Network makes Locate say that it is a network file system, which other machines
// can reach.
func Network() Option {
	return Location(fsys.Location{Type: "nfs", Mount: "nfs1"})
}

// NoIDs makes files indistinguishable: all have the zero [fsys.ID].
func NoIDs() Option { return func(c *config) { c.noIDs = true } }

// NoReplace makes Replace fail with errors.ErrUnsupported.
func NoReplace() Option { return func(c *config) { c.noReplace = true } }

// NoPrepare makes Prepare fail with errors.ErrUnsupported.
func NoPrepare() Option { return func(c *config) { c.noPrepare = true } }

// NoNesting makes MakeDir, OpenDir and RemoveDir fail with errors.ErrUnsupported.
func NoNesting() Option { return func(c *config) { c.noNesting = true } }

// NoEvents makes Watch fail with errors.ErrUnsupported.
func NoEvents() Option { return func(c *config) { c.noEvents = true } }

// LostEvents says whether events are lost: then Watch succeeds, and its channel
// never receives.
func LostEvents(lost bool) Option { return func(c *config) { c.lost = lost } }

// LateEvents makes each event come that long after the change.
func LateEvents(by time.Duration) Option { return func(c *config) { c.late = by } }

// view is the disk as a process sees it.
type view struct {
	disk    *Disk
	process proc.Table
}

func (v view) Dir(name string) (fsys.Dir, error) {
	if name == "" {
		return nil, pathError("dir", name, fs.ErrNotExist)
	}
	return named{dir{v, clean(name), nil}}, nil
}

// clean returns a path with slashes, from the root. Relative names are below it.
func clean(name string) string { return path.Clean("/" + filepath.ToSlash(name)) }

// begin starts an operation. If done is not nil, the operation is to be done, and
// to fail with that. If it is a [ButLater], it is to be done later.
func (v view) begin(op Op) (done, err error) {
	v.disk.files.mu.Lock()
	before := v.disk.files.before
	v.disk.files.mu.Unlock()
	if before != nil {
		op.Process = v.process
		err = before(op)
		var d butDone
		if errors.As(err, &d) {
			done, err = d.error, nil
		}
		var l butLater
		if errors.As(err, &l) {
			return l, nil
		}
	}
	if err == nil && v.ended() {
		err = os.ErrProcessDone
	}
	return done, err
}

// ended tells whether the process of the view does.
func (v view) ended() bool {
	if v.process == nil {
		return false
	}
	id, err := v.process.Self()
	if err != nil {
		return false
	}
	state, _ := v.process.Probe(id)
	return state == proc.Dead
}

// sameMachine tells whether two processes have one kernel.
func (v view) sameMachine(u view) bool {
	if v.process == nil || u.process == nil {
		return true
	}
	one, err := v.process.Self()
	if err != nil {
		return false
	}
	two, err := u.process.Self()
	return err == nil && one.Boot == two.Boot
}
