package lock

// WithMkdir lets the methods that acquire the lock make the directory, and those
// above it, if it is missing: also when the previous owner has removed it while
// this process was about to acquire the lock, or waited for it. The permissions
// are those that the system gives to new directories.
//
// With a directory per key this is how to clean up: call Unlock first, and then
// [os.Remove], which fails if the next owner is there already, and that is no
// error. Never remove the directory while the lock is held, nor with
// [os.RemoveAll], which would take a lock away from its owner.
//
// Status, WaitFree and Break do not make the directory. Where the file system cannot make one, the
// error matches [errors.ErrUnsupported].
func WithMkdir() Option { return func(o *options) { o.mkdir = true } }
