//go:build !unix

package osfs

// mount has no name to give on these systems.
func (d *osDir) mount() string { return "" }
