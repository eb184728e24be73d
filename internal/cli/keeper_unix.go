//go:build unix

package cli

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"os/user"
	"strings"
	"syscall"
	"time"

	"github.com/dirlock/dirlock/fsys"
	"github.com/dirlock/dirlock/fsys/osfs"
	"github.com/dirlock/dirlock/lock"
	"github.com/dirlock/dirlock/proc"
)

// keepers says that there are keepers on this system.
const keepers = true

// leaveKeeper starts a keeper for a lock that is held in the name of another
// process. It has the lock's open file.
func leaveKeeper(l *lock.DirLock, dir string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	owner, _ := l.Owner()
	cmd := exec.Command(self, keeperArg, dir, owner.ID, string(theName))
	cmd.Args[0] = "dirlock"
	cmd.Dir = "/"
	cmd.Env = []string{"GOMAXPROCS=1"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	switch f, err := l.File(); {
	case err == nil:
		defer f.Close()
		cmd.ExtraFiles = []*os.File{f}
	case !errors.Is(err, errors.ErrUnsupported):
		return err
	}
	return cmd.Start()
}

// keeperBeat is how often a keeper looks, where no event tells it to.
const keeperBeat = 5 * time.Second

// runKeeper is the keeper: it ends when the lock is released, or frees it when its
// owner has ended.
func runKeeper(dir, id, name string) {
	theName = lockName(name)
	signal.Ignore(syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM)
	l := newLockOf(dir)
	owner, ok := ownerByID(l, id)
	if !ok {
		return
	}
	var changed <-chan struct{}
	if d, err := osfs.New().Dir(dir); err == nil {
		if c, stop, err := fsys.Watch(d, theName.levelFile(0)); err == nil {
			defer stop()
			changed = c
		}
	}
	ended, stop, err := proc.Notify(proc.OS(), owner.Identity)
	if err == nil {
		defer stop()
	}
	tick := time.NewTicker(keeperBeat)
	defer tick.Stop()
	for {
		if _, ok := ownerByID(l, id); !ok {
			return
		}
		if state, _ := proc.OS().Probe(owner.Identity); state == proc.Dead {
			_ = l.ForceBreak(context.Background(), id)
			return
		}
		select {
		case <-changed:
		case <-ended:
		case <-tick.C:
		}
	}
}

// ownerByID returns the owner of a lock, if it has that ID. What cannot be told
// counts as if it had.
func ownerByID(l *lock.DirLock, id string) (lock.Owner, bool) {
	s, err := l.Status()
	if err != nil {
		return lock.Owner{}, false
	}
	level, ok := s.Owner()
	return level.Owner, ok && level.Owner.ID == id
}

// arguments returns the arguments of a process, or nothing.
func arguments(pid int) []string {
	text, err := os.ReadFile("/proc/" + itoa(pid) + "/cmdline")
	if err != nil || len(text) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(text), "\x00"), "\x00")
}

// userOf returns the name of the user of a process: of this one if it cannot be
// told.
func userOf(pid int) string {
	uid := os.Getuid()
	if info, err := os.Stat("/proc/" + itoa(pid)); err == nil {
		if stat, ok := info.Sys().(*syscall.Stat_t); ok {
			uid = int(stat.Uid)
		}
	}
	if u, err := user.LookupId(itoa(uid)); err == nil {
		return u.Username
	}
	return "uid " + itoa(uid)
}
