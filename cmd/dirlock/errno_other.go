//go:build !unix

package main

import "errors"

// errQuota is an error that does not happen here.
var errQuota = errors.New("quota exceeded")
