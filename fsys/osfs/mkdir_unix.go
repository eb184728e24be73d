//go:build unix

package osfs

import (
	"os"

	"golang.org/x/sys/unix"

	"github.com/dirlock/dirlock/fsys"
)

var _ fsys.Maker = (*named)(nil)

// Mkdir implements [fsys.Maker]. The name is the one that Open uses.
func (n *named) Mkdir() error {
	err := os.MkdirAll(n.path, 0o777)
	if err != nil && n.relative != "" && n.stillThere() {
		err = os.MkdirAll(n.relative, 0o777)
	}
	return mkdirError(n.path, err)
}

// stillThere tells whether a relative name means what it did.
func (n *named) stillThere() bool {
	var st unix.Stat_t
	return fstatat(unix.AT_FDCWD, ".", &st, 0) == nil && idOf(&st) == n.from
}
