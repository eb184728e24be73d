package proc

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dirlock/dirlock/internal/testutil/reexec"
)

func init() { reexec.Register("self", mainSelf) }

func TestMain(m *testing.M) { reexec.Main(m) }

// mainSelf says who it is, and lives until its standard input ends.
func mainSelf([]string) {
	say(self())
	_, _ = io.Copy(io.Discard, os.Stdin)
}

func self() Identity {
	id, err := OS().Self()
	if err != nil {
		panic(err)
	}
	return id
}

// say writes one line of JSON to the parent.
func say(v any) {
	if err := json.NewEncoder(os.Stdout).Encode(v); err != nil {
		panic(err)
	}
}

// child is another process.
type child struct {
	*exec.Cmd
	id  Identity // what it says of itself
	in  io.WriteCloser
	out *bufio.Reader
}

// start starts a command of package reexec that first says who it is.
func start(t *testing.T, cmd *exec.Cmd) *child {
	t.Helper()
	c := &child{Cmd: cmd}
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	c.in, c.out = in, bufio.NewReader(out)
	c.hear(t, &c.id)
	return c
}

// hear reads what the child says next.
func (c *child) hear(t *testing.T, v any) {
	t.Helper()
	line, err := c.out.ReadBytes('\n')
	require.NoError(t, err, "the child said %q", line)
	require.NoError(t, json.Unmarshal(line, v), "the child said %q", line)
}

func TestEndsByItself(t *testing.T) {
	c := start(t, reexec.Command(t, "self"))
	require.NoError(t, c.in.Close())
	require.NoError(t, c.Wait())
	state, reason := OS().Probe(c.id)
	require.Equal(t, Dead, state, reason)
}
