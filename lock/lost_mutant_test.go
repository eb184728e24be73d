package lock_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Slips in the watch over a held lock, each of which the tests of
// losses_test.go must see.
var lossMutants = map[string]struct{ old, new string }{
	"events alone, where there are events":    {"beat := time.NewTimer(g.jitter(g.beat()))", "beat := time.NewTimer(g.jitter(g.beat()))\n\t\tif g.watching {\n\t\t\tbeat.Stop()\n\t\t}"},
	"the look before the watch":               {"\t\tif again || !g.watching {\n\t\t\tg.watch()\n\t\t}\n\t\tif !g.holds() {\n\t\t\treturn\n\t\t}\n", "\t\tif !g.holds() {\n\t\t\treturn\n\t\t}\n\t\tif again || !g.watching {\n\t\t\tg.watch()\n\t\t\tagain = true\n\t\t}\n"},
	"a failure is a loss":                     {"place == fsys.Here || err != nil", "place == fsys.Here"},
	"a directory that was moved is no loss":   {"place == fsys.Here || err != nil", "place == fsys.Here || place == fsys.Moved || err != nil"},
	"another directory of the name is none":   {"place == fsys.Here || err != nil", "place == fsys.Here || place == fsys.Replaced || err != nil"},
	"a beat that is longer than it says":      {"\treturn lossBeat\n}", "\treturn 2 * lossBeat\n}"},
	"the watch of the directory is not ended": {"g.stop(); g.stopMove()", "g.stop()"},
}

func TestLossMutants(t *testing.T) {
	if testing.Short() || raceEnabled {
		t.Skip("builds this package many times")
	}
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("there is no go command")
	}
	here, err := os.Getwd()
	require.NoError(t, err)
	source, err := os.ReadFile("lost.go")
	require.NoError(t, err)
	tests, err := filepath.Glob("*_test.go")
	require.NoError(t, err)
	for name, m := range lossMutants {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, 1, strings.Count(string(source), m.old), "the code has changed: the mutation must be made where it was")
			changed := filepath.Join(t.TempDir(), "lost.go")
			require.NoError(t, os.WriteFile(changed, []byte(strings.Replace(string(source), m.old, m.new, 1)), 0o644))
			replace := map[string]string{filepath.Join(here, "lost.go"): changed}
			for _, name := range tests { // to build them would take most of the time
				if name != "losses_test.go" && name != "lost_export_test.go" {
					replace[filepath.Join(here, name)] = ""
				}
			}
			overlay, err := json.Marshal(map[string]any{"Replace": replace})
			require.NoError(t, err)
			list := filepath.Join(t.TempDir(), "overlay.json")
			require.NoError(t, os.WriteFile(list, overlay, 0o644))
			out, err := exec.CommandContext(t.Context(), "go", "test", "-vet=off", "-count=1", "-timeout=20s", "-ldflags=-s -w", "-overlay", list,
				"-run", "^TestLoss(IsReportedAndNothingElse|WhileTheWatchBegins)$", ".").CombinedOutput()
			require.Error(t, err, "nobody has noticed")
			require.Contains(t, string(out), "--- FAIL: TestLoss", "it does not build")
		})
	}
}
