package cli

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dirlock/dirlock/lock"
)

// "status --watch" is woken by what changes the status, and does not poll.
func TestWatchByEvents(t *testing.T) {
	dir := t.TempDir()
	l := lock.New(dir)
	w := &watch{dir: dir}
	arrange := func() {
		w.arrange(l.Status())
		require.Equal(t, watchBeat, w.beat)
	}
	arrange()
	require.NoError(t, l.Lock())
	<-w.changed
	arrange()
	require.NoError(t, l.Unlock())
	<-w.changed

	p := start(t, "dirlock", "run", "--close", dir, "job", "hold")
	p.says("ready")
	arrange()
	require.NoError(t, p.Process.Kill())
	<-w.ended
	_, err := p.Process.Wait()
	require.NoError(t, err)
	arrange() // stale
	require.NoError(t, os.Remove(filepath.Join(dir, "L0")))
	<-w.changed
	w.arrange(lock.New(dir + "/none").Status())
	require.Equal(t, watchPoll, w.beat)
	require.Empty(t, w.stops)
}
