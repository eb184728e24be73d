// Package gomocks has typed mocks of all interfaces of packages lock, fsys and
// proc, for go.uber.org/mock. See package mocks.
package gomocks
