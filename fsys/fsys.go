// Package fsys defines the few atomic file operations, in one directory, that a
// directory lock needs.
//
// A backend has to provide [FS], [Dir] and [File]. By optional interfaces it can
// do more: [Opener] (one directory, whatever becomes of its name), [Peeker] (a
// cheaper look at a file), [Maker] (makes a missing directory), [Witnesser] (the
// kernel vouches for a living owner), [Inheritor] (shares that with a child
// process), [Placer] (whether the directory's name leads elsewhere by now),
// [Localizer] (whether only this machine can reach the directory, and by which
// mount), [Watcher] and [MoveWatcher] (events instead of polling), [Preparer] (the
// slow part of a Create ahead of time), [Liner] (waiters that the system wakes one
// after the other) and [Sweeper] (removes temporary files of the dead). A store in which files hang on leases has [Swapper], [Remover],
// [Tokener], [Ender] and [Contexter] as well. A [Wrapper] around a directory keeps
// its abilities.
//
// Package osfs is the backend for the real file system, package memfs one in
// memory for tests. Package aferofs adapts github.com/spf13/afero. Package
// fsystest checks any backend, yours included.
package fsys

import "errors"

// MaxData is the number of bytes that [Dir.Create] must be able to publish and
// the most that [Dir.Read] returns: a level file is a few hundred bytes.
const MaxData = 4096

// ErrNotRegular is returned (wrapped in an [fs.PathError]) by [Dir.Read] for
// something that is not a regular file: a directory, a symbolic link, a FIFO, a
// socket or a device. Nothing of it has been read, and no link was followed.
var ErrNotRegular = errors.New("not a regular file")

// ErrBusy is returned (wrapped in an [fs.PathError]) by [Dir.Create] when another
// process has been inside Create for so long that it may be stopped, and by
// [Dir.Read] when another process keeps the file from being opened (on Linux, by
// a lease). Nothing has changed, and a later call can succeed. Create is busy
// only on a file system that has neither hard links nor a rename that refuses to
// replace, where creators take turns.
var ErrBusy = errors.New("directory is busy")

// FS finds directories. A value is safe for concurrent use.
type FS interface {
	// Dir returns the directory of that name. A relative name is fixed against
	// the working directory of this moment: a later change of directory changes
	// nothing. If the result is an [Opener], it stands for the name: symbolic
	// links, for example, are followed anew at each operation.
	// The directory need not exist yet; operations on a missing one fail with
	// fs.ErrNotExist. Dir fails with an error that matches
	// errors.ErrUnsupported when the backend as a whole cannot give the
	// guarantees of [Dir].
	Dir(name string) (Dir, error)
}

// Dir is one directory. Every operation is atomic: concurrent calls, from any
// goroutine or process, take effect one after the other, and a caller that dies
// in the middle has either done the operation or not. Names are plain file
// names without separators.
//
// Errors are of type *fs.PathError, with the operation (the method's name in
// lower case), the full path, and an error that matches the usual sentinels:
// fs.ErrExist, fs.ErrNotExist, fs.ErrPermission, or errors.ErrUnsupported when
// the directory's file system cannot do the operation atomically. An operation
// that fails has changed nothing.
type Dir interface {
	// Path is the absolute path of the directory, for messages. It may lead
	// elsewhere in another process, or by now.
	Path() string

	// Create publishes a file with that name and exactly that data, at most
	// MaxData bytes, readable by every user: it appears whole or not at all.
	// It fails with fs.ErrExist if there is anything of that name, be it a
	// dangling symbolic link. The caller closes the File once it has removed the
	// published file, or has found that another one has its name.
	Create(name string, data []byte) (File, error)

	// Read looks at a file, which anybody may have put there. It follows no
	// link, never blocks, and reads at most MaxData bytes.
	// It fails with fs.ErrNotExist, with ErrNotRegular, or with ErrBusy if
	// another process, such as a file server, does not let it be opened now.
	Read(name string) (Snapshot, error)

	// Replace renames a file over another one: newname never ceases to exist,
	// and oldname ceases to exist at the same instant. If the file system cannot
	// do this atomically, Replace always fails with errors.ErrUnsupported: a lock
	// can do without.
	Replace(oldname, newname string) error

	// Remove removes a file. It fails with fs.ErrNotExist if there is none. A
	// network file system that lost its own reply can say so of a file that this
	// very call has removed.
	Remove(name string) error

	// List returns the names that start with prefix, in no particular order,
	// of files of any kind.
	List(prefix string) ([]string, error)
}

// File is a file that this process published with [Dir.Create]. It stays the
// same file when [Dir.Replace] renames it.
type File interface {
	// Intact reports whether name is still this very file and holds what it
	// was created with. If there is no such file, or no such directory any more,
	// that is (false, nil). A file of an [OpenDir] is looked for there, whatever
	// the name of that is by now. After Close it fails: nobody can tell then.
	Intact(name string) (bool, error)

	// Close lets go of the file, and with it of the witness (see [Witnesser]).
	// It does not remove it.
	Close() error
}

// Snapshot is one look at a file.
type Snapshot struct {
	// Data is the first MaxData bytes. The caller may keep it.
	Data []byte
	// Witness is what the kernel said when it was asked, after Data was read,
	// about the very file that Data is from.
	Witness Witness
	// ID tells this file from every other file that had the same name and
	// the same data. It is the zero ID if the backend cannot tell.
	ID ID
}

// ID identifies a file within its directory. The numbers mean nothing outside
// the backend: on Unix they are device, inode and change time, for directories
// that only this machine can reach.
type ID [3]uint64
