//go:build unix && !linux

package fsystest_test

import "errors"

func mknod(string) error { return errors.ErrUnsupported }
