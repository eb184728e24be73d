package lock

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
)

// WithName gives the lock a name: a directory has an independent lock for every
// name. The level files of a lock called gc are gc.L0, gc.L1 and so on, those of
// .gc are .gc.L0 and so on, which listings hide. The lock without a name, which is
// the default, has L0, L1 and so on.
//
// A name has 64 characters at most: lower-case letters, digits, hyphens and
// underscores. It begins with a letter or a digit, after a dot if it is hidden.
// The names of devices of Windows, such as con, are not allowed. With a name that
// is not allowed, every method fails.
func WithName(name string) Option {
	return func(o *options) {
		o.name = name
		if o.err == nil && name != "" && (len(name) > maxName || !lockName().MatchString(name) || deviceName().MatchString(name)) {
			o.err = fmt.Errorf("%.80q is no name of a lock: see lock.WithName", name)
		}
	}
}

// These are compiled when they are needed: most programs never use a name.
var (
	lockName   = lazily(`^(\.?[a-z0-9][a-z0-9_-]*)$`)
	deviceName = lazily(`^(con|prn|aux|nul|com[0-9]|lpt[0-9])$`)
	levelFile  = lazily(`^(?:(\.?[a-z0-9][a-z0-9_-]*)\.)?L(W|0|[1-9][0-9]*)$`)
)

func lazily(pattern string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(pattern) })
}

const maxName = 64

// namePrefix begins the names of the level files of a lock.
func namePrefix(name string) string {
	if name == "" {
		return ""
	}
	return name + "."
}

// levelPath returns the path of a level file, for messages.
func (l *DirLock) levelPath(level int) string {
	return filepath.Join(l.path, namePrefix(l.name)+levelName(level))
}

// StatusAll returns the Status of every lock of a directory that has a level file
// there, with a name (see [WithName]) or without, sorted by name. If all are free,
// there are none. It lists the directory, and so its cost depends on all that is in
// it. The options are those of [New], without WithName. It fails as
// [DirLock.Status] does.
func StatusAll(dir string, opts ...Option) ([]Status, error) {
	handle := func(name string) *DirLock { return New(dir, append(slices.Clone(opts), WithName(name))...) }
	l := handle("")
	names, err := l.names()
	if err != nil {
		return nil, l.wrap("status", err)
	}
	var all []Status
	for _, name := range names {
		s, err := handle(name).Status()
		if err != nil {
			return nil, err
		}
		if len(s.Levels)+len(s.Readers)+len(s.Waiting) > 0 { // it may have been released since
			all = append(all, s)
		}
	}
	return all, nil
}

// names returns the names of the locks that have level files in the directory.
func (l *DirLock) names() ([]string, error) {
	v, err := l.enter()
	if err != nil {
		return nil, err
	}
	defer v.leave()
	files, err := v.dir.List("")
	if err != nil {
		return nil, err
	}
	var names []string
	for _, file := range files {
		if m := levelFile().FindStringSubmatch(file); m != nil && len(m[1]) <= maxName {
			names = append(names, m[1])
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}
