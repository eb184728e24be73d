package lock

import (
	"context"
	"errors"
)

// WithLock calls do while this process has the lock of a directory. It waits for
// the lock until ctx is done, and fails as [DirLock.LockContext] does. The context
// of do is done when ctx is, or when the lock is found lost (see [DirLock.Held]):
// do should return then. The lock is released when do returns, or panics.
//
// The error is that of do, joined with that of [DirLock.Unlock]. It matches
// [ErrLost] if the lock was found lost at any time, even if it seemed to be there
// again in the end.
//
//	err := lock.WithLock(ctx, "/var/lib/backup", func(ctx context.Context) error {
//		return exec.CommandContext(ctx, "backup.sh").Run()
//	})
func WithLock(ctx context.Context, dir string, do func(ctx context.Context) error, opts ...Option) (err error) {
	l := New(dir, opts...)
	if err := l.LockContext(ctx); err != nil {
		return err
	}
	held, cancel := l.Held(ctx)
	defer func() {
		lost := context.Cause(held)
		cancel()
		err = errors.Join(err, l.Unlock())
		if errors.Is(lost, ErrLost) && !errors.Is(err, ErrLost) {
			err = errors.Join(err, lost)
		}
	}()
	return do(held)
}
