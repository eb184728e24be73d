package lock

import (
	"bufio"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
)

// WithLabel sets a text for people in owner records, such as "nightly, to tape":
// what the lock is held for. At most 128 printable ASCII characters are kept.
func WithLabel(text string) Option { return func(o *options) { o.label = printable(text) } }

// WithUser sets the name of the user in owner records, for people. The default is
// the user of this process; after [WithProcesses] it is none. At most 128 printable
// ASCII characters are kept.
func WithUser(name string) Option {
	return func(o *options) { o.user = func() string { return printable(name) } }
}

// noUser is for invented processes.
func noUser() string { return "" }

// thisUser names the user of this process. It asks nobody that could be slow to
// answer, such as a directory service: that would be in the way of a TryLock.
var thisUser = sync.OnceValue(func() string {
	if runtime.GOOS == "windows" {
		return printable(os.Getenv("USERNAME"))
	}
	uid := strconv.Itoa(os.Getuid())
	if f, err := os.Open("/etc/passwd"); err == nil {
		defer f.Close()
		if name := userIn(f, uid); name != "" {
			return printable(name)
		}
	}
	return "uid " + uid
})

// userIn returns the name of a user from a file like /etc/passwd (passwd(5)), or
// "" if it is not in there.
func userIn(file io.Reader, uid string) string {
	lines := bufio.NewScanner(io.LimitReader(file, 1<<20))
	for lines.Scan() {
		if fields := strings.SplitN(lines.Text(), ":", 4); len(fields) == 4 && fields[2] == uid {
			return fields[0]
		}
	}
	return ""
}
