package main

import (
	"errors"
	"regexp"

	"github.com/spf13/pflag"

	"github.com/dirlock/dirlock/lock"
)

// lockName is the value of --name: which of the locks of a directory is meant.
type lockName string

// theName is that of the command that runs.
var theName lockName

// addName adds the flag --name.
func addName(flags *pflag.FlagSet) {
	theName = ""
	flags.Var(&theName, "name", "use the lock called `NAME`, with files like NAME.L0; .NAME for hidden ones")
}

// newLockOf returns a handle on the lock of a directory that the flags name.
func newLockOf(dir string, opts ...lock.Option) *lock.DirLock {
	return lock.New(dir, append(opts, lock.WithName(string(theName)))...)
}

var validName = regexp.MustCompile(`^\.?[a-z0-9][a-z0-9_-]{0,62}$`)

func (n *lockName) Set(s string) error {
	if !validName.MatchString(s) {
		return errors.New("a name of lower-case letters, digits, - and _, after a dot if it is hidden")
	}
	*n = lockName(s)
	return nil
}

func (n *lockName) String() string { return string(*n) }

func (*lockName) Type() string { return "NAME" }

// levelFile is the name of the file of the holder.
func (n lockName) levelFile() string {
	if n == "" {
		return "L0"
	}
	return string(n) + ".L0"
}
