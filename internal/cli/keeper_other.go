//go:build !unix

package cli

import (
	"errors"

	"github.com/dirlock/dirlock/lock"
)

// keepers says that there are no keepers on this system.
const keepers = false

func leaveKeeper(*lock.DirLock, string) error { return errors.ErrUnsupported }

func runKeeper(_, _, _ string) {}

func arguments(int) []string { return nil }

func userOf(int) string { return "" }
