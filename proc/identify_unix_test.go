//go:build unix

package proc_test

import (
	"io/fs"
	"math"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dirlock/dirlock/proc"
)

// A process that is identified from outside is the same as from inside.
func TestIdentify(t *testing.T) {
	self, err := proc.OS().Self()
	require.NoError(t, err)
	id, err := proc.Identify(os.Getpid())
	require.NoError(t, err)
	self.Command = ""
	assert.Equal(t, self, id)

	cmd := exec.Command("cat")
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	id, err = proc.Identify(cmd.Process.Pid)
	require.NoError(t, err)
	state, why := proc.OS().Probe(id)
	assert.NotEqual(t, proc.Dead, state, why)
	require.NoError(t, in.Close())
	require.NoError(t, cmd.Wait())
	state, _ = proc.OS().Probe(id)
	assert.NotEqual(t, proc.Alive, state)

	for _, pid := range []int{0, -1, math.MaxInt32} {
		_, err := proc.Identify(pid)
		assert.ErrorIs(t, err, fs.ErrNotExist)
	}
}
