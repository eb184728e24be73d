//go:build !windows

package wine

// Here reports whether this program runs under wine.
func Here() bool { return false }
