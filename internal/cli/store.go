package cli

import (
	"os"
	"path/filepath"

	"github.com/spf13/pflag"

	"github.com/dirlock/dirlock/fsys"
	"github.com/dirlock/dirlock/fsys/osfs"
	"github.com/dirlock/dirlock/lock"
)

// Store is where the locks of a command are.
type Store struct {
	// Program is the name of the command.
	Program string
	// Long and Example describe it, if they are not those of dirlock.
	Long, Example string
	// Flags adds the flags that all its sub-commands have.
	Flags func(*pflag.FlagSet)
	// Find returns the file system of a lock, and the path of its directory there. If
	// it is nil, that is the operating system's. Otherwise the lock is one that no
	// other process can inherit: it is held no longer than the command runs.
	Find func(name string) (f fsys.FS, path string, err error)
}

// Files is the store of dirlock: directories of this machine.
var Files = Store{Program: "dirlock"}

// theStore is that of the command that runs.
var theStore = Files

// remote tells whether the locks are somewhere else than in directories.
func (s Store) remote() bool { return s.Find != nil }

// options are those of a lock.
func (s Store) options(dir string) []lock.Option {
	if !s.remote() {
		return nil
	}
	f, _, err := s.Find(dir)
	if err != nil {
		f = unusable{err}
	}
	return []lock.Option{lock.WithFS(f)}
}

// unusable is a file system that cannot be had.
type unusable struct{ err error }

func (u unusable) Dir(string) (fsys.Dir, error) { return nil, u.err }

// resolve returns an absolute path of a directory, without symbolic links if
// there is one: what /proc/PID/root is a link to leads elsewhere.
func resolve(dir string) (string, error) {
	if theStore.remote() {
		_, path, err := theStore.Find(dir)
		return path, err
	}
	d, err := osfs.New().Dir(dir)
	if err != nil {
		return "", err
	}
	path := d.Path()
	if real, err := filepath.EvalSymlinks(path); err == nil {
		here, err1 := os.Stat(path)
		there, err2 := os.Stat(real)
		if err1 == nil && err2 == nil && os.SameFile(here, there) {
			return real, nil
		}
	}
	return path, nil
}

// mkdir makes a directory that is missing, where there are any.
func mkdir(dir string) error {
	if theStore.remote() {
		return nil
	}
	return os.MkdirAll(dir, 0o777)
}
