// Command buildcache prints the output of a command, which it keeps in a cache.
// Many short processes share the cache: each output is made once, and whoever
// needs the same one waits for it.
//
//	go run . CACHE COMMAND [ARGUMENT...]
package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/dirlock/dirlock/lock"
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	out, err := output(ctx, os.Args[1], os.Args[2:])
	if err != nil {
		log.Fatal(err)
	}
	_, _ = os.Stdout.Write(out)
}

// output has a directory for each command, with a lock of its own.
func output(ctx context.Context, cache string, args []string) (out []byte, err error) {
	entry := filepath.Join(cache, fmt.Sprintf("%x", sha256.Sum256(fmt.Appendf(nil, "%q", args))))
	result := filepath.Join(entry, "result")
	if out, err = os.ReadFile(result); err == nil {
		return out, nil
	}
	err = lock.WithLock(ctx, entry, func(ctx context.Context) error {
		if out, err = os.ReadFile(result); !errors.Is(err, fs.ErrNotExist) {
			return err // somebody was faster
		}
		// The command ends when the lock is lost.
		if out, err = exec.CommandContext(ctx, args[0], args[1:]...).Output(); err != nil {
			return err
		}
		if err = os.WriteFile(result+".new", out, 0o644); err != nil {
			return err
		}
		return os.Rename(result+".new", result)
	}, lock.WithMkdir(), lock.WithLabel(args[0]))
	return out, err
}
