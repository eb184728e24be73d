//go:build aix || solaris

package osfs

// isLocal is not known on these systems.
func (d *osDir) isLocal() (bool, error) { return false, nil }
