//go:build unix

package osfs

import (
	"strconv"

	"github.com/dirlock/dirlock/fsys"
)

// factsOf names the mount by the device number that stat(2) has for the
// directory. It stands for a mounted file system in the kernel, which exists
// until it is unmounted everywhere and the last of its files is closed.
func factsOf(id fileID) facts {
	return facts{id: id, Location: fsys.Location{Mount: strconv.FormatUint(id.dev, 10)}}
}
