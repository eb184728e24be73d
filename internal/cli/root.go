package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// execute runs one command line, shows its error, and returns the exit status.
func execute(args []string) int {
	root := newRoot()
	root.SetArgs(args)
	err := root.Execute()
	code, text, hint := outcome(err)
	if text != "" {
		complain(text, hint)
	}
	stderr.flush()
	return code
}

// newRoot makes the command with all its sub-commands.
func newRoot() *cobra.Command {
	cobra.MousetrapHelpText = ""       // it asks Windows for the parent process at every start
	cobra.EnableCommandSorting = false // run comes first
	root := &cobra.Command{
		Use:   "dirlock",
		Short: "Run commands under the lock of a directory",
		Long: `dirlock gives one process at a time exclusive use of a directory. The lock is a
small file, L0, in that directory: it says who holds the lock, and is gone when
they are done. When the holder dies, even by kill -9, the next one takes over;
nobody has to clean up. The lock is advisory: it excludes those who use dirlock,
or the Go package that it is made of, on the same directory.`,
		Example: `  # Run a backup, unless one is running already.
  dirlock run -n /var/lib/backup -- backup.sh --full

  # Who holds the lock?
  dirlock status /var/lib/backup`,
		Args: func(cmd *cobra.Command, args []string) error {
			if version, _ := cmd.Flags().GetBool("version"); version {
				return nil
			}
			if len(args) > 0 {
				return unknownCommand(cmd, args[0])
			}
			return usageError{errors.New("no command given"), "dirlock", `try "dirlock run DIR -- COMMAND", or see "dirlock --help"`}
		},
		RunE:                       func(cmd *cobra.Command, _ []string) error { return printVersion(cmd) },
		SuggestionsMinimumDistance: 2,
		SilenceErrors:              true,
		SilenceUsage:               true,
	}
	root.Flags().BoolP("version", "V", false, "print the version")
	root.SetFlagErrorFunc(flagError)
	root.SetHelpCommand(newHelp(root))
	if theStore.remote() {
		root.Use, root.Long, root.Example = theStore.Program, theStore.Long, theStore.Example
		theStore.Flags(root.PersistentFlags())
		root.AddCommand(newRun(), newStatus(), newWait(), newBreak(), newVersion())
	} else {
		root.AddCommand(newRun(), newLock(), newUnlock(), newStatus(), newWait(), newBreak(), newVersion(), newMan())
	}
	root.AddCommand(topics()...)
	return root
}

// takes says which arguments a sub-command takes: from least to most of them,
// or without an upper bound if most is negative.
func takes(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return usageError{errors.New("no directory given"), cmd.CommandPath(), ""}
		case least > 0 && args[0] == "":
			return usageError{errors.New("the name of the directory is empty"), cmd.CommandPath(), "is a variable of the shell not set?"}
		case most >= 0 && len(args) > most:
			return usageError{fmt.Errorf("unexpected argument %q", args[most]), cmd.CommandPath(), ""}
		}
		return nil
	}
}

// complain writes to the standard error: what is wrong, and on a line of its own
// what to do, unless hint is empty.
func complain(text, hint string) {
	text = theStore.Program + ": " + oneLine(text) + "\n"
	if hint != "" {
		text += "hint: " + oneLine(hint) + "\n"
	}
	stderr.write(text)
}

// oneLine makes a text safe to show, on one line.
func oneLine(text string) string {
	return printable(strings.ReplaceAll(text, "\n", "; ")) // as errors.Join has it
}
