//go:build aix || solaris

package fsys

// isLocal is not known on these systems.
func (d *osDir) isLocal() (bool, error) { return false, nil }
