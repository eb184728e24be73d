package lock_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dirlock/dirlock/internal/testutil/reexec"
	"github.com/dirlock/dirlock/lock"
)

func init() {
	reexec.Register("die holding", func(args []string) {
		if !lock.NewDirLock(args[0]).Must().TryLock() {
			os.Exit(1)
		}
	})
}

func BenchmarkTryLockHeld(b *testing.B) {
	dir := b.TempDir()
	lock.New(dir).Must().Lock()
	contender := lock.New(dir)
	b.ReportAllocs()
	for b.Loop() {
		if ok, err := contender.TryLock(); ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}

func BenchmarkTryLockUnlock(b *testing.B) {
	l := lock.New(b.TempDir())
	b.ReportAllocs()
	for b.Loop() {
		if ok, err := l.TryLock(); !ok || err != nil {
			b.Fatal(ok, err)
		}
		if err := l.Unlock(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRecovery takes the lock from an owner that is dead, by a handle that
// knows nothing of the directory yet.
func BenchmarkRecovery(b *testing.B) {
	dir := b.TempDir()
	require.NoError(b, reexec.Command(b, "die holding", dir).Run())
	d, err := os.ReadDir(dir)
	require.NoError(b, err)
	require.Len(b, d, 1)
	path := dir + "/" + d[0].Name()
	record, err := os.ReadFile(path)
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		require.NoError(b, os.WriteFile(path, record, 0o644))
		b.StartTimer()
		l := lock.New(dir)
		if ok, err := l.TryLock(); !ok || err != nil {
			b.Fatal(ok, err)
		}
		b.StopTimer()
		require.NoError(b, l.Unlock())
		b.StartTimer()
	}
}
