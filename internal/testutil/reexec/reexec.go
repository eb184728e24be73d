// Package reexec runs the test binary again as another program, so that a test
// can have a real second process that runs code of its own package.
//
//	func init() { reexec.Register("holder", holder) }
//
//	func TestMain(m *testing.M) { reexec.Main(m) }
//
//	func TestKill(t *testing.T) {
//		cmd := reexec.Command(t, "holder", dir)
//		…
//	}
package reexec

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
)

// env names the environment variable that tells a re-run which main to run.
const env = "DIRLOCK_TEST_REEXEC"

var mains = map[string]func(args []string){}

// Register gives a name to a function that [Command] runs in a process of its
// own. The process exits with status 0 when the function returns. Call it from
// init or TestMain, before [Main]. It panics if the name is taken.
func Register(name string, main func(args []string)) {
	if _, taken := mains[name]; taken {
		panic("reexec: " + name + " is registered twice")
	}
	mains[name] = main
}

// Main runs the function that this process was started for by [Command], and
// the tests if it was not. It does not return. TestMain calls it.
func Main(m *testing.M) {
	name, ok := os.LookupEnv(env)
	if !ok {
		os.Exit(m.Run())
	}
	// A child of the re-run is not one.
	if err := os.Unsetenv(env); err != nil {
		panic(err)
	}
	main, ok := mains[name]
	if !ok {
		fmt.Fprintf(os.Stderr, "reexec: %q is not registered\n", name)
		os.Exit(2)
	}
	main(os.Args[1:])
	os.Exit(0)
}

// Command returns a command that has not been started, which runs the
// registered function with args in a process of its own. Its standard error is
// the test's. It is killed when the test ends, provided that it was started by
// this test itself.
func Command(t testing.TB, name string, args ...string) *exec.Cmd {
	t.Helper()
	if _, ok := mains[name]; !ok {
		t.Fatalf("reexec: %q is not registered", name)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, args...)
	cmd.Env = append(os.Environ(), Env(name))
	cmd.Stderr = os.Stderr
	return cmd
}

// Env returns the setting of the environment with which this binary runs the
// registered function, for a process that execs itself instead of starting a
// [Command].
func Env(name string) string { return env + "=" + name }
