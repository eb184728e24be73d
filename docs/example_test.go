//go:build linux

package docs_test

import (
	"context"
	"errors"

	"github.com/dirlock/dirlock/lock"
)

// work is the example of recipes.md.
func work(ctx context.Context, dir string, do func() error) (err error) {
	l := lock.New(dir)
	if err := l.LockContext(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Unlock()) }()
	return do()
}
