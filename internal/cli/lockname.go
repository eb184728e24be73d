package cli

import (
	"errors"
	"os"
	"strings"

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

// envMachine is where an administrator vouches for the name of the machine.
const envMachine = "DIRLOCK_MACHINE"

// newLockOf returns a handle on the lock of a directory that the flags name.
func newLockOf(dir string, opts ...lock.Option) *lock.DirLock {
	opts = append(opts, theStore.options(dir)...)
	return lock.New(dir, append(opts, lock.WithName(string(theName)), lock.WithMachine(os.Getenv(envMachine)))...)
}

func (n *lockName) Set(s string) error {
	const first = "abcdefghijklmnopqrstuvwxyz0123456789"
	name := strings.TrimPrefix(s, ".")
	if name == "" || len(name) > 63 || !strings.ContainsRune(first, rune(name[0])) || strings.Trim(name, first+"_-") != "" {
		return errors.New("a name of lower-case letters, digits, - and _, after a dot if it is hidden")
	}
	*n = lockName(s)
	return nil
}

func (n *lockName) String() string { return string(*n) }

func (*lockName) Type() string { return "NAME" }

// levelFile is the name of the file of a level.
func (n lockName) levelFile(level int) string {
	name := "L" + itoa(level)
	if n == "" {
		return name
	}
	return string(n) + "." + name
}
