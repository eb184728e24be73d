package proc_test

import (
	"bufio"
	"encoding/json"
	"os"
	"testing"

	"github.com/dirlock/dirlock/internal/testutil/reexec"
	"github.com/dirlock/dirlock/proc"
	"github.com/dirlock/dirlock/proc/proctest"
)

// The table of the operating system, with real processes.
func TestConformance(t *testing.T) {
	if _, err := os.Executable(); err != nil {
		t.Skip("no processes: ", err)
	}
	proctest.Run(t, proctest.Backend{
		Table: proc.OS(),
		Start: func() (p proctest.Process, err error) {
			cmd := reexec.Command(t, "self")
			if _, err := cmd.StdinPipe(); err != nil {
				return p, err
			}
			out, err := cmd.StdoutPipe()
			if err != nil {
				return p, err
			}
			if err := cmd.Start(); err != nil {
				return p, err
			}
			p.Kill = cmd.Process.Kill
			p.Reap = func() error {
				_, err := cmd.Process.Wait()
				return err
			}
			line, err := bufio.NewReader(out).ReadBytes('\n')
			if err == nil {
				err = json.Unmarshal(line, &p.ID)
			}
			return p, err
		},
	})
}
