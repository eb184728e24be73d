package fsys

import (
	"context"
	"errors"
	"io/fs"
)

// A leased store is one, such as etcd, in which every file hangs on a lease of its
// owner. The owner renews the lease while it lives. When the lease ends, the store
// itself removes the file, so that it knows by itself which owners are dead.
//
// Such a store can take a file from a process that still runs, and can do what a
// process has asked for after that process is dead. So a lock in it touches a file
// only in one step with the proof that it is still the same: its directories are
// [Swapper], its files [Remover]. What [Dir.Read] tells is [Leased] or [Ended].

// ErrUnavailable is matched by the error of an operation that the store did not
// answer in time, or at all. Unlike after other errors, the operation may have been
// done, or be done later. A file that Create or Swap may so have made is let go of:
// the store removes it when its lease ends.
var ErrUnavailable = errors.New("the store is not available")

// Remover is a [File] that is removed only if it is still itself.
type Remover interface {
	File
	// Remove removes the file of that name if that is still this very file, in one
	// step, and tells whether it was. It can be called again after an error. After
	// Close the answer is false.
	Remove(name string) (removed bool, err error)
}

// Remove asks f if it is a [Remover]. If it is not, the error is
// errors.ErrUnsupported.
func Remove(f File, name string) (removed bool, err error) {
	if r, ok := f.(Remover); ok {
		return r.Remove(name)
	}
	return false, errors.ErrUnsupported
}

// Swapper is a [Dir] that replaces a file only if it is still the one that was
// looked at.
type Swapper interface {
	Dir
	// Swap puts a new file in the place of the one that old is a look at, in one
	// step. It is Create in everything else. It fails with fs.ErrExist if another
	// file has the name by now, and with fs.ErrNotExist if none has.
	Swap(name string, old Snapshot, data []byte) (File, error)
}

// Swap asks d if it is a [Swapper]. If it is not, the error matches
// errors.ErrUnsupported.
func Swap(d Dir, name string, old Snapshot, data []byte) (File, error) {
	if s, ok := find[Swapper](d); ok {
		return s.Swap(name, old, data)
	}
	return nil, &fs.PathError{Op: "swap", Path: d.Path(), Err: errors.ErrUnsupported}
}

// Tokener is a [File] with a fencing token.
type Tokener interface {
	File
	// Token returns a number that is greater than that of every file which the
	// store made before, in any of its directories, and whether there is one. It
	// stays the same as long as the file is Intact.
	Token() (token uint64, ok bool)
}

// Token asks f if it is a [Tokener]. If it is not, there is no token.
func Token(f File) (token uint64, ok bool) {
	if t, is := f.(Tokener); is {
		return t.Token()
	}
	return 0, false
}

// Ender is a [File] whose lease can end.
type Ender interface {
	File
	// Ended returns a channel that is closed when this process must take the lease
	// for ended: before the store gives the name to another file, even if the store
	// cannot be reached. From then on, Intact and Remove answer false without
	// asking it. The channel is nil if the file has no lease.
	Ended() <-chan struct{}
}

// EndOf asks f if it is an [Ender]. If it is not, the channel is nil.
func EndOf(f File) <-chan struct{} {
	if e, ok := f.(Ender); ok {
		return e.Ended()
	}
	return nil
}

// Contexter is a [Dir] whose operations can take long, and be given up.
type Contexter interface {
	Dir
	// WithContext returns the same directory, whose operations fail with the error
	// of ctx when that is done. If this Dir is an [OpenDir], so is the result:
	// closing either closes both. Files that are created outlive ctx.
	WithContext(ctx context.Context) Dir
}

// WithContext asks d if it is a [Contexter]. If it is not, the result is d.
func WithContext(ctx context.Context, d OpenDir) OpenDir {
	if c, ok := d.(Contexter); ok {
		if o, ok := c.WithContext(ctx).(OpenDir); ok {
			return o
		}
	}
	return d
}

// Queuer is a [Watcher] in which those that wait for a file to go are told one after
// the other. Whose turn it is decides nothing: everybody may create the file.
type Queuer interface {
	Dir
	// Queue is Watch for a process that wants to create a file of that name. The
	// channel receives when those that queued before have left or are dead, and the
	// file is gone, and each time that it is gone after that. The file need not exist.
	Queue(name string) (turn <-chan struct{}, stop func(), err error)
}

// Queue asks d if it is a [Queuer]. If it is not, the error matches
// errors.ErrUnsupported.
func Queue(d Dir, name string) (turn <-chan struct{}, stop func(), err error) {
	if q, ok := find[Queuer](d); ok {
		return q.Queue(name)
	}
	return nil, nil, &fs.PathError{Op: "queue", Path: d.Path(), Err: errors.ErrUnsupported}
}
