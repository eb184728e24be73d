//go:build !unix

package cli

// permissionHint says what to do about a directory that this user may not use.
func permissionHint(string) string { return "use a directory that this user may read and write" }
