// Package osfs is the real file system as package fsys describes it.
//
// # Which directory
//
// A directory of [New] stands for a name. It holds no descriptor: each operation
// opens the directory that has the name at that moment, by way of the kernel, so
// that links, magic links of /proc, directories below private ones, and long
// paths lead where they lead every other program. [fsys.Open] opens it once. All
// operations of what it returns act on that directory:
//
//   - It is moved: they follow it. [fsys.PlaceOf] says so for a file in it.
//   - It is removed: there is nothing in it any more, and nothing can be made in
//     it, although another directory may have the name.
//   - Something is mounted over it: they go on below the mount. The name leads to
//     what was mounted, and PlaceOf says so.
//
// An open directory costs one descriptor until it is closed. It is not inherited
// by programs that the process starts. On Linux it takes no permission to read
// the directory (O_PATH), only to list it; systems that have O_SEARCH are asked
// for that if reading is not allowed, and on the others (OpenBSD, NetBSD,
// DragonFly, AIX) it is an error. On Windows there is no [fsys.Opener], and each
// operation goes by the path. But a directory in which a file is open cannot be
// moved or removed there.
//
// # Witness
//
// A file that carries a witness is open until [fsys.File.Close], for reading and
// writing: a file system cannot be remounted read-only meanwhile.
//
// # Where nothing works
//
// Where the system has no way at all to do what an [fsys.Dir] promises (Plan 9,
// WebAssembly), Dir fails with an error that matches [errors.ErrUnsupported].
package osfs

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/dirlock/dirlock/fsys"
)

// TempPrefix begins the name of every temporary file that [fsys.Dir.Create]
// makes, where it needs any: 26 or more capital letters and digits follow.
// [fsys.Sweep] removes those of the dead, and no file with another name.
const TempPrefix = ".dirlock-"

// New returns the real file system. All values are equal.
//
// A directory is also an [fsys.Maker], [fsys.Witnesser], [fsys.Localizer],
// [fsys.Watcher], [fsys.Sweeper] and [fsys.Nester]; on Unix an [fsys.Opener] and
// [fsys.Peeker], and its files are [fsys.Inheritor]s and, if it is open,
// [fsys.Placer]s; on Linux it is an [fsys.Preparer] and an [fsys.MoveWatcher]. What
// a file system can do is found out when it is first needed. A directory remembers
// it for as long as its name leads to that file system.
func New() fsys.FS { return osFS{} }

type osFS struct{}

func (osFS) Dir(name string) (fsys.Dir, error) {
	if !supported {
		return nil, pathError("dir", name, errors.ErrUnsupported)
	}
	if name == "" {
		return nil, pathError("dir", name, fs.ErrNotExist)
	}
	d, err := newDir(name)
	if err != nil {
		return nil, pathError("dir", name, err)
	}
	return d, nil
}

// tidy removes from a path what means nothing: doubled and final separators and
// single dots. It leaves "..", which after a link is the parent of what the link
// leads to (path_resolution(7)).
func tidy(path string) string {
	const sep = string(filepath.Separator)
	if !strings.Contains(path, "..") {
		return filepath.Clean(path)
	}
	parts := strings.Split(path, sep)
	kept := parts[:0]
	for i, part := range parts {
		if part != "." && (part != "" || i == 0) {
			kept = append(kept, part)
		}
	}
	return strings.Join(kept, sep)
}

// withSeparator returns a directory's path as the beginning of those of its files.
func withSeparator(path string) string {
	if path == "" || os.IsPathSeparator(path[len(path)-1]) {
		return path
	}
	return path + string(filepath.Separator)
}

// tempName returns a name for a temporary file that nobody else ever uses.
func tempName() string { return TempPrefix + rand.Text() }

// isTemp reports whether name is one that tempName makes: rand.Text promises 26
// letters and digits of base 32, or more one day. A file that a person called
// .dirlock-notes is none of ours.
func isTemp(name string) bool {
	text, ok := strings.CutPrefix(name, TempPrefix)
	return ok && len(text) >= 26 && strings.Trim(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") == ""
}

// validName reports whether name is a plain file name.
func validName(name string) bool {
	if name == "" || name == "." || name == ".." {
		return false
	}
	for i := range len(name) {
		if name[i] == 0 || os.IsPathSeparator(name[i]) {
			return false
		}
		// What follows a colon is another stream of the same file.
		if runtime.GOOS == "windows" && name[i] == ':' {
			return false
		}
	}
	return true
}

// pathError says which operation failed, on what, and why. It takes apart the
// error of a function of package os, which says the same in its own words.
func pathError(op, path string, err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	return &fs.PathError{Op: op, Path: path, Err: err}
}
