package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Long:    "Print the version of dirlock, of Go, and the system that it was built for.",
		Example: "  dirlock version",
		Args:    takes(0, 0),
		RunE:    func(cmd *cobra.Command, _ []string) error { return printVersion(cmd) },
	}
}

func printVersion(cmd *cobra.Command) error {
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s %s (%s %s/%s)\n", theStore.Program, version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}

// version is what the go command has put into the binary: the module's version,
// or what it made of the state of the repository.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
