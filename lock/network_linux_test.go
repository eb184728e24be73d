package lock_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/dirlock/dirlock/fsys"
	"github.com/dirlock/dirlock/fsys/osfs"
)

// bindfs shows a directory by way of a FUSE file system, once for each call.
func bindfs(t *testing.T, dir string) string {
	t.Helper()
	at := t.TempDir()
	path, err := exec.LookPath("bindfs")
	if err != nil {
		t.Skip(err)
	}
	if out, err := exec.Command(path, "-o", "allow_other", dir, at).CombinedOutput(); err != nil {
		t.Skipf("bindfs: %v: %s", err, out)
	}
	t.Cleanup(func() { assert.NoError(t, unix.Unmount(at, unix.MNT_DETACH)) })
	d, err := osfs.New().Dir(at)
	require.NoError(t, err)
	loc, err := fsys.Locate(d)
	require.NoError(t, err)
	local := loc.Local
	require.False(t, local)
	return at
}

// FUSE can take the links of one file for different files. The lock of a file
// that got its name by a link is not seen then, and must not be relied on.
func TestFUSELinks(t *testing.T) {
	dir := bindfs(t, t.TempDir())
	d, err := osfs.New().Dir(dir)
	require.NoError(t, err)
	kind, err := fsys.Witnesses(d)
	promised := kind != fsys.NoWitness
	require.NoError(t, err)
	f, err := d.Create("file", []byte("data"))
	require.NoError(t, err)
	defer f.Close()
	s, err := d.Read("file")
	require.NoError(t, err)
	assert.Equal(t, promised, s.Witness == fsys.Held)

	holder, contender := start(t, dir, container), start(t, dir, container)
	require.True(t, holder.try())
	assert.False(t, contender.try(), "the holder lives")
	holder.kill()
	assert.Equal(t, promised, contender.try(), "the holder is dead, if anything tells")
}

// A network file system may send what is written when it likes. A record must
// have been sent before its file has a name: an empty file tells nobody who the
// owner is, and looks like the remains of a power cut to the machine that the
// directory is on.
func TestNetworkRecordIsSentFirst(t *testing.T) {
	dir := bindfs(t, t.TempDir())
	trace := filepath.Join(t.TempDir(), "trace")
	holder := start(t, dir, place{Under: []string{
		"strace", "-f", "-qq", "-o", trace, "-e", "trace=pwrite64,fsync,link,linkat,renameat2", "-e", "signal=none",
	}})
	require.True(t, holder.try())
	holder.must("unlock", "ok")
	require.NoError(t, holder.in.Close()) // it ends
	require.NoError(t, holder.cmd.Wait())

	text, err := os.ReadFile(trace)
	require.NoError(t, err)
	_, after, ok := strings.Cut(string(text), `"dirlock 1`)
	require.True(t, ok, "strace saw the record")
	after, _, ok = strings.Cut(after, `"L0"`)
	require.True(t, ok, "strace saw the file getting its name")
	assert.Contains(t, after, "fsync(")
}
