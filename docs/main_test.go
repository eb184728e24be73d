// Package docs_test holds the pages to what they say: the recipes run, the links
// lead somewhere, and what the README promises is shown by what it names.
package docs_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	bin   string // a directory for the command
	build = sync.OnceValues(func() (string, error) {
		name := filepath.Join(bin, "dirlock")
		out, err := exec.Command("go", "build", "-o", name, "../cmd/dirlock").CombinedOutput()
		if err != nil {
			err = fmt.Errorf("%w: %s", err, out)
		}
		return name, err
	})
)

func TestMain(m *testing.M) {
	var err error
	if bin, err = os.MkdirTemp("", "docs-"); err != nil {
		panic(err)
	}
	status := m.Run()
	os.RemoveAll(bin)
	os.Exit(status)
}

// dirlock returns the command.
func dirlock(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("there is no go command")
	}
	name, err := build()
	require.NoError(t, err)
	return name
}
