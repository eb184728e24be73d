// Package wine tells tests that they run under wine, which is not quite Windows.
// docs/platforms.md lists what they skip there.
package wine

import "testing"

// Skip skips the test if it runs under wine. The reason says what wine cannot
// do.
func Skip(t testing.TB, reason string) {
	t.Helper()
	if Here() {
		t.Skip("wine: " + reason)
	}
}
