package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

// execute runs one command line, shows its error, and returns the exit status.
func execute(args []string) int {
	root := newRoot()
	root.SetArgs(args)
	err := root.Execute()
	code, text := outcome(err)
	if text != "" {
		complain(text)
	}
	return code
}

// newRoot makes the command with all its sub-commands.
func newRoot() *cobra.Command {
	cobra.MousetrapHelpText = ""       // it asks Windows for the parent process at every start
	cobra.EnableCommandSorting = false // run comes first
	root := &cobra.Command{
		Use:   "dirlock",
		Short: "Run commands under the lock of a directory",
		Long: `dirlock gives one process at a time a directory. The lock is a small file, L0,
in that directory: it says who holds the lock, and is gone when they are done.
When the holder dies, even by kill -9, the next one takes over; nobody has to
clean up. The lock is advisory: it excludes those who use dirlock, or the Go
package that it is made of, on the same directory.`,
		Example: `  # Run a backup, unless one is running already.
  dirlock run -n /var/lib/backup -- backup.sh --full

  # Who holds the lock?
  dirlock status /var/lib/backup`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("unknown command %q", args[0]), "dirlock"}
			}
			return usageError{errors.New("no command given"), "dirlock"}
		},
		RunE:          func(*cobra.Command, []string) error { return nil }, // so that Args is asked
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{err, cmd.CommandPath()}
	})
	root.AddCommand(newRun(), newStatus(), newWait(), newBreak(), newVersion(), newMan())
	root.AddCommand(topics()...)
	return root
}

// takes says which arguments a sub-command takes: from least to most of them,
// or without an upper bound if most is negative.
func takes(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return usageError{errors.New("no directory given"), cmd.CommandPath()}
		case least > 0 && args[0] == "": // of an unset variable, most often
			return usageError{errors.New("the name of the directory is empty"), cmd.CommandPath()}
		case most >= 0 && len(args) > most:
			return usageError{fmt.Errorf("unexpected argument %q", args[most]), cmd.CommandPath()}
		}
		return nil
	}
}

// completeDirs makes the shell complete directories.
func completeDirs(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveFilterDirs
}

// complain writes a line to the standard error.
func complain(text string) {
	text = strings.ReplaceAll(text, "\n", "; ") // as errors.Join has it
	fmt.Fprintln(os.Stderr, "dirlock:", printable(text))
}
