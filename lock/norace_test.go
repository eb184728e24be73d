//go:build !race

package lock_test

// raceEnabled tells whether the race detector is on.
const raceEnabled = false
