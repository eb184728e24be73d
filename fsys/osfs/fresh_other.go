//go:build unix && !linux

package osfs

// refresh would have a network file system ask its server. Only Linux has a call
// for that.
func (h handle) refresh() error { return nil }
