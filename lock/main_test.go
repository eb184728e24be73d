package lock_test

import (
	"testing"

	"github.com/dirlock/dirlock/internal/testutil/reexec"
)

func init() {
	reexec.Register("agent", agentMain)
	reexec.Register("sleeper", sleeperMain)
	reexec.Register("crasher", crasherMain)
}

func TestMain(m *testing.M) { reexec.Main(m) }
