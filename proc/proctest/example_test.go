package proctest_test

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"testing"

	"github.com/dirlock/dirlock/proc"
	"github.com/dirlock/dirlock/proc/proctest"
)

func ExampleFake() {
	procs := proctest.NewFake()
	p := procs.Start("backup")
	owner, _ := p.Self() // what a lock would write down

	show := func(table proc.Table) {
		state, reason := table.Probe(owner)
		fmt.Printf("%v: %s\n", state, reason)
	}
	contender := procs.Start("restore")
	show(contender)
	p.Kill()
	show(contender)
	procs.StartPID(owner.PID, "other")
	show(contender)
	// Output:
	// alive: it is running
	// dead: no process has this PID
	// dead: its PID belongs to another process now
}

// A PID is used again so soon that the start time is the same.
func ExampleFake_StopClock() {
	procs := proctest.NewFake()
	procs.StopClock()
	p := procs.Start("backup")
	owner, _ := p.Self()
	p.Kill()
	q := procs.StartPID(owner.PID, "other")
	other, _ := q.Self()

	fmt.Println("same start time:", owner.Start == other.Start)
	fmt.Println(q.Probe(owner))
	// Output:
	// same start time: true
	// dead its PID belongs to another process now
}

// A test of a table of one's own, here that of the operating system. The program
// whoami stands for one that prints its identity in JSON, as its table tells it,
// and lives until it is killed.
func ExampleRun() {
	_ = func(t *testing.T) { // TestTable
		proctest.Run(t, proctest.Backend{
			Table: proc.OS(),
			Start: func() (p proctest.Process, err error) {
				cmd := exec.Command("whoami")
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
				return p, json.NewDecoder(out).Decode(&p.ID)
			},
		})
	}
}
