package lock_test

import (
	"errors"
	"log"
	"os"
	"os/exec"

	"github.com/dirlock/dirlock/lock"
)

// A program that works under the lock keeps it, even if this one is killed.
func ExampleDirLock_File() {
	l := lock.New("/var/lib/backup")
	if err := l.Lock(); err != nil {
		log.Fatal(err)
	}
	cmd := exec.Command("rsync", "-a", "/srv/", "/var/lib/backup/")
	switch f, err := l.File(); {
	case err == nil:
		cmd.ExtraFiles = []*os.File{f} // it is number 3 there
		defer f.Close()
	case !errors.Is(err, errors.ErrUnsupported): // without it, the lock ends with this process
		log.Fatal(err)
	}
	err := cmd.Run()
	if err := errors.Join(err, l.Unlock()); err != nil {
		log.Fatal(err)
	}
}
