//go:build unix && !linux

package cli

// ancestors returns the parent of this process, its parent, and so on, as far as
// can be seen.
func ancestors() []int { return ancestorsByPS() }
