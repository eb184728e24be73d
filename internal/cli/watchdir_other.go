//go:build !linux

package cli

import "errors"

// watchDir fails: the system would open every file in the directory.
func watchDir(string) (changed <-chan struct{}, stop func(), err error) {
	return nil, nil, errors.ErrUnsupported
}
