package mocks_test

import (
	"context"
	"errors"
	"io/fs"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/mock/gomock"

	"github.com/dirlock/dirlock/lock"
	"github.com/dirlock/dirlock/mocks/gomocks"
	"github.com/dirlock/dirlock/mocks/testifymocks"
)

// errBusy and backup are what a user of this module writes: code that depends
// on the interface, and on nothing else of it.
var errBusy = errors.New("another backup is running")

func backup(l lock.TryLockerSafe, copyFiles func() error) (err error) {
	ok, err := l.TryLock()
	if err != nil {
		return err
	}
	if !ok {
		return errBusy
	}
	defer func() { err = errors.Join(err, l.Unlock()) }()
	return copyFiles()
}

func never(t *testing.T) func() error {
	return func() error {
		t.Error("files were copied without the lock")
		return nil
	}
}

func TestConsumerWithGomock(t *testing.T) {
	t.Run("free", func(t *testing.T) {
		l := gomocks.NewMockTryLockerSafe(gomock.NewController(t))
		gomock.InOrder(
			l.EXPECT().TryLock().Return(true, nil).Call,
			l.EXPECT().Unlock().Return(nil).Call,
		)
		copied := 0
		require.NoError(t, backup(l, func() error { copied++; return nil }))
		assert.Equal(t, 1, copied)
	})
	t.Run("held", func(t *testing.T) {
		l := gomocks.NewMockTryLockerSafe(gomock.NewController(t))
		l.EXPECT().TryLock().Return(false, nil)
		require.ErrorIs(t, backup(l, never(t)), errBusy)
	})
	t.Run("lost", func(t *testing.T) {
		l := gomocks.NewMockTryLockerSafe(gomock.NewController(t))
		l.EXPECT().TryLock().Return(true, nil)
		l.EXPECT().Unlock().Return(lock.ErrLost)
		require.ErrorIs(t, backup(l, func() error { return nil }), lock.ErrLost)
	})
	t.Run("must", func(t *testing.T) {
		ctrl := gomock.NewController(t)
		l, m := gomocks.NewMockTryLockerSafe(ctrl), gomocks.NewMockTryLocker(ctrl)
		l.EXPECT().Must().Return(m)
		m.EXPECT().TryLock().DoAndReturn(func() bool { panic(lock.ErrNotHeld) })
		require.PanicsWithError(t, lock.ErrNotHeld.Error(), func() { l.Must().TryLock() })
	})
}

func TestConsumerWithTestify(t *testing.T) {
	t.Run("free", func(t *testing.T) {
		l := testifymocks.NewMockTryLockerSafe(t)
		l.EXPECT().TryLock().Return(true, nil).Once()
		l.EXPECT().Unlock().Return(nil).Once()
		copied := 0
		require.NoError(t, backup(l, func() error { copied++; return nil }))
		assert.Equal(t, 1, copied)
	})
	t.Run("missing directory", func(t *testing.T) {
		l := testifymocks.NewMockTryLockerSafe(t)
		l.EXPECT().TryLock().Return(false, fs.ErrNotExist).Once()
		require.ErrorIs(t, backup(l, never(t)), fs.ErrNotExist)
	})
	t.Run("must", func(t *testing.T) {
		l, m := testifymocks.NewMockTryLockerSafe(t), testifymocks.NewMockTryLocker(t)
		l.EXPECT().Must().Return(m).Once()
		m.EXPECT().Lock().Once()
		m.EXPECT().Unlock().Once()
		must := l.Must()
		must.Lock()
		m.AssertNotCalled(t, "Unlock")
		must.Unlock()
	})
}

// report is code that waits, and works for as long as it has the lock.
func report(ctx context.Context, l lock.ContextLocker, write func(context.Context) error) (err error) {
	if err := l.LockContext(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Unlock()) }()
	held, cancel := l.Held(ctx)
	defer cancel()
	return write(held)
}

// untilDone works for ever.
func untilDone(ctx context.Context) error {
	<-ctx.Done()
	return context.Cause(ctx)
}

func TestContextLockerWithGomock(t *testing.T) {
	l := gomocks.NewMockContextLocker(gomock.NewController(t))
	l.EXPECT().LockContext(t.Context()).Return(nil)
	l.EXPECT().Held(t.Context()).DoAndReturn(func(ctx context.Context) (context.Context, context.CancelFunc) {
		ctx, cancel := context.WithCancelCause(ctx)
		cancel(lock.ErrLost)
		return ctx, func() {}
	})
	l.EXPECT().Unlock().Return(lock.ErrLost)
	require.ErrorIs(t, report(t.Context(), l, untilDone), lock.ErrLost)
}

func TestContextLockerWithTestify(t *testing.T) {
	l := testifymocks.NewMockContextLocker(t)
	l.EXPECT().LockContext(t.Context()).Return(&lock.HeldError{Err: context.DeadlineExceeded}).Once()
	err := report(t.Context(), l, func(context.Context) error { return never(t)() })
	require.ErrorIs(t, err, lock.ErrHeld)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}
