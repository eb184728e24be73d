// Package testifymocks has mocks of the interfaces of package lock that programs
// depend on, for github.com/stretchr/testify. See package mocks.
package testifymocks
