package cli

import (
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// ps(1) tells the same as procfs.
func TestAncestorsByPS(t *testing.T) {
	if _, err := exec.LookPath("ps"); err != nil {
		t.Skip(err)
	}
	require.Equal(t, ancestors(), ancestorsByPS())
}
