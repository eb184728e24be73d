package osfs_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/dirlock/dirlock/fsys"
	"github.com/dirlock/dirlock/fsys/osfs"
)

// contend has four lockers take turns by the file L0, so often in all, while
// something else is going on. It fails if two have it at once.
func contend(t *testing.T, dir string, way uint32, times int64) {
	t.Helper()
	var turns, owners, violations atomic.Int64
	var wg sync.WaitGroup
	for i := range 4 {
		d := openDir(t, dir)
		osfs.SetWay(d, way)
		wg.Go(func() {
			data := []byte(strings.Repeat(fmt.Sprint(i), 300))
			for turns.Load() < times {
				f, err := d.Create("L0", data)
				if errors.Is(err, fs.ErrExist) || errors.Is(err, fsys.ErrBusy) {
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				if owners.Add(1) != 1 {
					violations.Add(1)
				}
				turns.Add(1)
				for range 10 { // while others try to create it
					_, _ = d.Read("L0")
				}
				owners.Add(-1)
				if err := errors.Join(d.Remove("L0"), f.Close()); err != nil && !errors.Is(err, fs.ErrNotExist) {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	require.Zero(t, violations.Load(), "two owners at once, in %d acquisitions", turns.Load())
}

// That a file has one more link proves nothing about who made it.
func TestForeignLinks(t *testing.T) {
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			dir, snapshots := t.TempDir(), t.TempDir()
			stop := make(chan struct{})
			var linked atomic.Int64
			var wg sync.WaitGroup
			wg.Go(func() {
				for n := 0; ; n++ {
					select {
					case <-stop:
						return
					default:
					}
					entries, _ := os.ReadDir(dir)
					for _, e := range entries {
						snapshot := filepath.Join(snapshots, fmt.Sprint(n, e.Name()))
						if os.Link(filepath.Join(dir, e.Name()), snapshot) == nil {
							linked.Add(1)
						}
					}
				}
			})
			contend(t, dir, way, 500)
			close(stop)
			wg.Wait()
			require.NotZero(t, linked.Load())
		})
	}
}

// The same as people do it.
func TestSnapshotsByCp(t *testing.T) {
	dir, snapshots := t.TempDir(), t.TempDir()
	cmd := exec.Command("sh", "-c", `while :; do cp -al "$0" "$1/snap" 2>/dev/null; rm -rf "$1/snap"; done`, dir, snapshots)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	require.NoError(t, cmd.Start())
	defer func() {
		require.NoError(t, syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL))
		_ = cmd.Wait()
	}()
	contend(t, dir, osfs.ByLink, 1000)
}

// What a waiter has made ready has no name, but a process of the same user can
// give it one.
func TestPreparedFileGetsForeignName(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	d := openDir(t, dir)
	p, err := fsys.Prepare(d, 10)
	require.NoError(t, err)
	defer p.Close()
	named := 0
	links, err := filepath.Glob("/proc/self/fd/*")
	require.NoError(t, err)
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil && strings.HasPrefix(target, dir+"/#") {
			named++
			require.NoError(t, unix.Linkat(unix.AT_FDCWD, link, unix.AT_FDCWD,
				filepath.Join(elsewhere, fmt.Sprint(named)), unix.AT_SYMLINK_FOLLOW))
		}
	}
	require.Equal(t, 1, named)

	owner, err := d.Create("L0", []byte("owner"))
	require.NoError(t, err)
	_, err = p.CreateIn(d, "L0", []byte("waiter"))
	require.ErrorIs(t, err, fs.ErrExist)
	s, err := d.Read("L0")
	require.NoError(t, err)
	require.Equal(t, "owner", string(s.Data))
	require.NoError(t, errors.Join(d.Remove("L0"), owner.Close()))
	f, err := p.CreateIn(d, "L0", []byte("waiter"))
	require.NoError(t, err)
	ok, err := f.Intact("L0")
	require.NoError(t, err)
	require.True(t, ok)
	require.NoError(t, errors.Join(d.Remove("L0"), f.Close()))
}
