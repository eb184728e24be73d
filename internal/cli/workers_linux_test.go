package cli

import (
	"encoding/json"
	"os/exec"
	"os/user"
	"testing"

	"github.com/stretchr/testify/require"
)

// Status tells the process of the command beside dirlock's, the user and the label.
func TestStatusOfCommand(t *testing.T) {
	dir := t.TempDir()
	p := start(t, "dirlock", "run", "--label", "nightly, to tape", dir, "job", "hold")
	p.says("ready")
	command, _ := childrenOfDirlock(t, p.Process.Pid)
	u, err := user.Current()
	require.NoError(t, err)

	out, _ := exec.Command("dirlock", "status", dir).Output()
	require.Regexp(t, ` is held by dirlock run job \(nightly, to tape, process `+itoa(p.Process.Pid)+`\) on `, string(out))
	require.Contains(t, string(out), "\n      user "+u.Username+"; the command is process "+itoa(command)+"\n")

	out, _ = exec.Command("dirlock", "status", "--json", dir).Output()
	var got struct {
		Levels []struct {
			Owner struct {
				PID         int
				CommandPIDs []int `json:"command_pids"`
				User, Label string
			}
		}
	}
	require.NoError(t, json.Unmarshal(out, &got))
	owner := got.Levels[0].Owner
	require.Equal(t, p.Process.Pid, owner.PID)
	require.Equal(t, []int{command}, owner.CommandPIDs)
	require.Equal(t, u.Username, owner.User)
	require.Equal(t, "nightly, to tape", owner.Label)
}
