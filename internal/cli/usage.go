package cli

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// unknownCommand is the error for a word that is not a command of dirlock's.
func unknownCommand(root *cobra.Command, word string) error {
	err := usageError{err: fmt.Errorf("unknown command %q", word), command: "dirlock"}
	info, statErr := os.Stat(word)
	switch names := root.SuggestionsFor(word); {
	case len(names) > 0:
		err.hint = fmt.Sprintf(`did you mean "dirlock %s"?`, names[0])
	case statErr == nil && info.IsDir():
		err.hint = fmt.Sprintf(`did you mean "dirlock run %s -- COMMAND"?`, word)
	}
	return err
}

// flagError is the error for what the flag parser does not like.
func flagError(cmd *cobra.Command, err error) error {
	usage := usageError{err: err, command: cmd.CommandPath()}
	var unknown *pflag.NotExistError
	var missing *pflag.ValueRequiredError
	var invalid *pflag.InvalidValueError
	switch {
	case errors.As(err, &unknown):
		usage.hint, usage.err = unknownFlag(cmd, unknown)
	case errors.As(err, &missing):
		usage.err = fmt.Errorf("%s needs a value", flagName(missing.GetFlag()))
	case errors.As(err, &invalid) && invalid.GetFlag().Value.Type() == "bool":
		usage.err = fmt.Errorf("%s takes true, false or nothing, not %q", flagName(invalid.GetFlag()), invalid.GetValue())
	case errors.As(err, &invalid) && invalid.GetFlag().Value.Type() == "int":
		usage.err = fmt.Errorf("%s takes a number, not %q", flagName(invalid.GetFlag()), invalid.GetValue())
	case errors.As(err, &invalid):
		usage.err = fmt.Errorf("%s takes %w, not %q", flagName(invalid.GetFlag()), invalid.Unwrap(), invalid.GetValue())
	}
	return usage
}

// unknownFlag says what is wrong with a flag, and what to do.
func unknownFlag(cmd *cobra.Command, e *pflag.NotExistError) (hint string, err error) {
	name := e.GetSpecifiedName()
	written := "--" + name
	if e.GetSpecifiedShortnames() != "" {
		written = "-" + name
	}
	err = fmt.Errorf("unknown flag %s", written)
	run, _, _ := cmd.Root().Find([]string{"run"})
	switch {
	case (name == "u" || name == "unlock") && cmd.Name() == "run":
		return `the lock is released when COMMAND has ended; for a part of a script, see "dirlock lock --help"`, err
	case !cmd.HasParent() && (run.Flags().Lookup(name) != nil || len(name) == 1 && run.Flags().ShorthandLookup(name) != nil):
		return fmt.Sprintf(`did you mean "dirlock run %s"?`, written), err
	case cmd.Name() == "run":
		return `see "dirlock run --help"; flags of COMMAND stand after it: dirlock run DIR -- COMMAND ` + written, err
	}
	return "", err
}

// flagName is how people write a flag.
func flagName(f *pflag.Flag) string {
	if f.Shorthand != "" {
		return "-" + f.Shorthand
	}
	return "--" + f.Name
}

// newHelp replaces cobra's help command, which takes every word.
func newHelp(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND or TOPIC]",
		Short: "Help about a command or a topic",
		Long:  "Show the help of a command, or one of the topics that \"dirlock help\" lists.",
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			var names []string
			for _, c := range root.Commands() {
				if len(args) == 0 && !c.Hidden {
					names = append(names, cobra.CompletionWithDesc(c.Name(), c.Short))
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return root.Help()
			}
			cmd, rest, err := root.Find(args)
			if err == nil && cmd != root && len(rest) == 0 {
				cmd.InitDefaultHelpFlag()
				return cmd.Help()
			}
			usage := usageError{fmt.Errorf("no help for %q", strings.Join(args, " ")), "dirlock", ""}
			if near := nearest(root, args[0]); near != "" {
				usage.hint = fmt.Sprintf(`did you mean "dirlock help %s"?`, near)
			}
			return usage
		},
	}
}

// nearest returns the command or topic of which the name is like word, if there
// is one.
func nearest(root *cobra.Command, word string) string {
	if names := root.SuggestionsFor(word); len(names) > 0 {
		return names[0]
	}
	for _, c := range root.Commands() {
		if c.IsAdditionalHelpTopicCommand() && (strings.HasPrefix(c.Name(), word) || strings.HasPrefix(word, c.Name())) {
			return c.Name()
		}
	}
	return ""
}

// notFoundHint says what to do about a command that was not found.
func notFoundHint(command []string) string {
	name := command[0]
	switch {
	case name == "":
		return "the name is empty: is a variable of the shell not set?"
	case strings.ContainsAny(name, " ;|&<>$*"):
		return "for a line of shell, use -c: dirlock run DIR -c " + quote(strings.Join(command, " "))
	case strings.Contains(name, "=") && !strings.Contains(name, "/"):
		return "to set a variable, use env(1): dirlock run DIR -- env " + strings.Join(command, " ")
	case isShellWord(name):
		return fmt.Sprintf("%s is a word of the shell, not a program; use -c: dirlock run DIR -c %s", name, quote(strings.Join(command, " ")))
	case strings.HasPrefix(name, "-"):
		return "flags of dirlock stand before the --"
	}
	if _, err := os.Stat(name); err == nil {
		if strings.ContainsRune(name, os.PathSeparator) {
			return "the file exists, but the interpreter that its first line names does not"
		}
		return fmt.Sprintf("it is in this directory, which is not in PATH: write ./%s", name)
	}
	return "check its name and PATH"
}

// isShellWord tells whether a name is only known to the shell.
func isShellWord(name string) bool {
	switch name {
	case ".", ":", "alias", "bg", "cd", "command", "declare", "eval", "exec", "exit", "export", "fg", "for", "if", "jobs",
		"local", "read", "set", "shift", "shopt", "source", "trap", "type", "ulimit", "umask", "unalias", "unset", "wait", "while", "{", "(":
		return true
	}
	return false
}

// quote makes a text one word of the shell.
func quote(text string) string {
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// noCommand is the error for "run" with one argument.
func noCommand(dir string) usageError {
	usage := usageError{err: errors.New("no command given"), command: "dirlock run"}
	if _, err := os.Stat(dir); err == nil {
		return usage
	}
	if _, err := exec.LookPath(dir); err == nil {
		usage.err = errors.New("no directory given")
		usage.hint = fmt.Sprintf("the directory comes first: dirlock run DIR -- %s", dir)
	}
	return usage
}

// noDirHint says what to do about a directory that does not exist.
func noDirHint(dir string) string {
	if strings.HasPrefix(dir, "~") {
		return "the shell has not replaced the ~: write it outside of quotes, or $HOME"
	}
	return "create the directory first, or use --mkdir"
}

// exitCode is the value of --conflict-exit-code.
type exitCode int

// Set takes a number that can be an exit status.
func (e *exitCode) Set(s string) error {
	n, err := strconv.ParseUint(s, 10, 8)
	if err != nil {
		return errors.New("an exit status from 0 to 255")
	}
	*e = exitCode(n)
	return nil
}

func (e *exitCode) String() string { return strconv.Itoa(int(*e)) }

func (*exitCode) Type() string { return "N" }

// shellLine is the value of --command.
type shellLine struct {
	line string
	set  bool
}

// Set takes one line only.
func (l *shellLine) Set(s string) error {
	if l.set {
		return errors.New("one line of shell")
	}
	l.line, l.set = s, true
	return nil
}

func (l *shellLine) String() string { return l.line }

func (*shellLine) Type() string { return "STRING" }
