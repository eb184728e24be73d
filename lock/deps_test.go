package lock_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const module = "github.com/dirlock/dirlock"

// TestDependencies pins what the packages of the library are made of, beside
// the standard library: whoever imports lock gets this and no more.
func TestDependencies(t *testing.T) {
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("asks the go command")
	}
	want := map[string][]string{
		"lock": {
			module + "/lock",
			module + "/fsys",
			module + "/fsys/osfs",
			module + "/proc",
			module + "/proc/internal/reason",
			"github.com/fsnotify/fsnotify",
			"github.com/fsnotify/fsnotify/internal",
			"golang.org/x/sys/unix",
			"golang.org/x/sys/windows",
			"golang.org/x/sys/windows/registry",
		},
		"fsys": {module + "/fsys"},
		"fsys/osfs": {
			module + "/fsys",
			module + "/fsys/osfs",
			"github.com/fsnotify/fsnotify",
			"github.com/fsnotify/fsnotify/internal",
			"golang.org/x/sys/unix",
			"golang.org/x/sys/windows",
		},
		"fsys/memfs": {
			module + "/fsys",
			module + "/fsys/memfs",
			module + "/proc",
			module + "/proc/internal/reason",
			"golang.org/x/sys/unix",
			"golang.org/x/sys/windows",
			"golang.org/x/sys/windows/registry",
		},
		"proc": {
			module + "/proc",
			module + "/proc/internal/reason",
			"golang.org/x/sys/unix",
			"golang.org/x/sys/windows",
			"golang.org/x/sys/windows/registry",
		},
	}
	for pkg, allowed := range want {
		for _, goos := range []string{"linux", "darwin", "freebsd", "windows"} {
			deps := list(t, goos, "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", module+"/"+pkg)
			require.Contains(t, deps, module+"/"+pkg)
			assert.Subset(t, allowed, deps, "dependencies of %s on %s", pkg, goos)
		}
		standard := list(t, "linux", "-deps", "-f", "{{if .Standard}}{{.ImportPath}}{{end}}", module+"/"+pkg)
		require.Contains(t, standard, "io/fs")
		for _, forbidden := range []string{"testing", "flag", "net", "os/exec", "os/user"} {
			assert.NotContains(t, standard, forbidden, "dependencies of %s", pkg)
		}
	}
}

// list runs go list, and returns its lines.
func list(t *testing.T, goos string, args ...string) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list"}, args...)...)
	cmd.Env = append(cmd.Environ(), "GOOS="+goos, "GOARCH=amd64", "CGO_ENABLED=0")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, "go list: %s", &stderr)
	return strings.Fields(string(out))
}
