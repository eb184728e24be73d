package main

import (
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func newMan() *cobra.Command {
	return &cobra.Command{
		Use:   "man",
		Short: "Print the manual page",
		Long:  "Print the manual page dirlock(1), made from the same text as this help.",
		Example: `  dirlock man | man -l -
  dirlock man >/usr/local/share/man/man1/dirlock.1`,
		Args: takes(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return writeMan(cmd.OutOrStdout(), cmd.Root())
		},
	}
}

// writeMan writes the manual page of a command with its sub-commands, in the
// language of man(7). Its help topics become sections.
func writeMan(out io.Writer, root *cobra.Command) error {
	var b strings.Builder
	b.WriteString(".TH DIRLOCK 1 \"\" \"dirlock " + roff(version()) + "\" \"User Commands\"\n")
	b.WriteString(".SH NAME\ndirlock \\- " + roff(strings.ToLower(root.Short[:1])+root.Short[1:]) + "\n")
	b.WriteString(".SH SYNOPSIS\n")
	var commands, sections []*cobra.Command
	for _, c := range root.Commands() {
		switch {
		case c.IsAdditionalHelpTopicCommand():
			sections = append(sections, c)
		case c.IsAvailableCommand() && c.HasExample():
			commands = append(commands, c)
			b.WriteString(".B dirlock " + roff(c.Use) + "\n.br\n")
		}
	}
	b.WriteString(".SH DESCRIPTION\n" + paragraphs(root.Long))
	b.WriteString(examples(root))
	b.WriteString(".SH COMMANDS\n")
	for _, c := range commands {
		b.WriteString(".SS dirlock " + roff(c.Use) + "\n" + paragraphs(c.Long))
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if f.Name != "help" {
				b.WriteString(option(f))
			}
		})
		b.WriteString(examples(c))
	}
	for _, c := range sections {
		b.WriteString(".SH " + strings.ToUpper(strings.ReplaceAll(c.Name(), "-", " ")) + "\n" + paragraphs(c.Long))
	}
	b.WriteString(".SH SEE ALSO\n.BR flock (1),\n.BR sysexits (3)\n")
	_, err := io.WriteString(out, b.String())
	return err
}

// option describes a flag.
func option(f *pflag.Flag) string {
	name, usage := pflag.UnquoteUsage(f)
	text := "\\fB\\-\\-" + roff(f.Name) + "\\fR"
	if f.Shorthand != "" {
		text = "\\fB\\-" + roff(f.Shorthand) + "\\fR, " + text
	}
	if name != "" {
		text += " \\fI" + roff(name) + "\\fR"
	}
	return ".TP\n" + text + "\n" + roff(usage) + "\n"
}

// examples shows the examples of a command as they are.
func examples(c *cobra.Command) string {
	return ".PP\nExamples:\n" + literal(strings.Split(c.Example, "\n"))
}

// paragraphs fills what is prose, and leaves what is indented as it is.
func paragraphs(text string) string {
	var b strings.Builder
	for p := range strings.SplitSeq(text, "\n\n") {
		lines := strings.Split(p, "\n")
		n := 0 // lines of prose
		for n < len(lines) && !strings.HasPrefix(lines[n], " ") {
			n++
		}
		b.WriteString(".PP\n")
		for _, line := range lines[:n] {
			b.WriteString(roff(line) + "\n")
		}
		if n < len(lines) {
			end := len(lines)
			for !strings.HasPrefix(lines[end-1], " ") {
				end--
			}
			b.WriteString(literal(lines[n:end]))
			for _, line := range lines[end:] {
				b.WriteString(roff(line) + "\n")
			}
		}
	}
	return b.String()
}

// literal shows lines as they are.
func literal(lines []string) string {
	var b strings.Builder
	b.WriteString(".PP\n.nf\n")
	for _, line := range lines {
		b.WriteString(roff(line) + "\n")
	}
	b.WriteString(".fi\n.PP\n")
	return b.String()
}

// roff protects what would mean something else to the formatter.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`).Replace(s)
	if strings.HasPrefix(s, ".") {
		s = `\&` + s
	}
	return s
}
