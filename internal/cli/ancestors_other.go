//go:build !unix

package cli

import "os"

// ancestors returns the parent of this process.
func ancestors() []int { return []int{os.Getppid()} }
