package cli

import (
	"io"
	"os"
	"runtime/debug"
	"strings"
	"time"

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
	var commands, sections []*cobra.Command
	for _, c := range root.Commands() {
		switch {
		case c.IsAdditionalHelpTopicCommand():
			sections = append(sections, c)
		case c.IsAvailableCommand() && c.HasExample():
			commands = append(commands, c)
		}
	}
	p := page{".TH DIRLOCK 1 " + date() + " \"dirlock " + roff(version()) + "\" \"User Commands\""}
	p.add(".SH NAME", "dirlock \\- "+roff(strings.ToLower(root.Short[:1])+root.Short[1:]))
	p.add(".SH SYNOPSIS")
	for i, c := range commands {
		if i > 0 {
			p.add(".br")
		}
		p.synopsis(c)
	}
	p.add(".SH DESCRIPTION")
	p.text(root.Long)
	p.examples(root)
	p.add(".SH COMMANDS")
	for _, c := range commands {
		p.add(".SS dirlock " + roff(c.Name()))
		p.text(c.Long)
		c.LocalFlags().VisitAll(p.option)
		p.examples(c)
	}
	for _, c := range sections {
		p.add(".SH " + strings.ToUpper(strings.ReplaceAll(c.Name(), "-", " ")))
		p.text(c.Long)
	}
	p.add(".SH SEE ALSO", ".BR flock (1),", ".BR sysexits (3)")
	_, err := io.WriteString(out, strings.Join(p, "\n")+"\n")
	return err
}

// date returns the day of the commit that this was built from, if it is known,
// and else of the build.
func date() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.time" && len(s.Value) >= len(time.DateOnly) {
				return s.Value[:len(time.DateOnly)]
			}
		}
	}
	built := time.Now()
	if self, err := os.Executable(); err == nil {
		if info, err := os.Stat(self); err == nil {
			built = info.ModTime()
		}
	}
	return built.UTC().Format(time.DateOnly)
}

// page is the lines of a manual page.
type page []string

func (p *page) add(lines ...string) { *p = append(*p, lines...) }

// paragraph begins one, unless a heading has done so.
func (p *page) paragraph() {
	if last := (*p)[len(*p)-1]; !strings.HasPrefix(last, ".S") && last != ".PP" {
		p.add(".PP")
	}
}

// fill adds prose, in lines that are not too long.
func (p *page) fill(words []string) {
	line := ""
	for _, word := range words {
		word = roff(word)
		switch {
		case line == "":
			line = word
		case len(line)+1+len(word) > 78:
			p.add(line)
			line = word
		default:
			line += " " + word
		}
		if strings.HasSuffix(word, ".") { // a sentence ends
			p.add(line)
			line = ""
		}
	}
	if line != "" {
		p.add(line)
	}
}

// literal adds lines as they are.
func (p *page) literal(lines []string) {
	p.paragraph()
	p.add(".nf")
	for _, line := range lines {
		p.add(roff(line))
	}
	p.add(".fi")
}

// text adds paragraphs: what is prose is filled, and what is indented stays as it
// is.
func (p *page) text(text string) {
	for part := range strings.SplitSeq(text, "\n\n") {
		var words, lines []string
		flush := func() {
			if len(words) > 0 {
				p.paragraph()
				p.fill(words)
			}
			if len(lines) > 0 {
				p.literal(lines)
			}
			words, lines = nil, nil
		}
		for line := range strings.SplitSeq(part, "\n") {
			if strings.HasPrefix(line, " ") {
				lines = append(lines, line)
				continue
			}
			if len(lines) > 0 {
				flush()
			}
			words = append(words, strings.Fields(line)...)
		}
		flush()
	}
}

// examples adds the examples of a command.
func (p *page) examples(c *cobra.Command) {
	p.add(".PP", "Examples:")
	for i, part := range strings.Split(c.Example, "\n\n") {
		if i > 0 {
			p.add(".PP")
		}
		p.literal(strings.Split(part, "\n"))
	}
}

// synopsis adds how a command is used, with its flags.
func (p *page) synopsis(c *cobra.Command) {
	p.add(".B dirlock " + roff(c.Name()))
	c.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden && f.Name != "help" {
			p.add("[" + flagText(f, false) + "]")
		}
	})
	if _, arguments, ok := strings.Cut(strings.ReplaceAll(c.Use, "[flags] ", ""), " "); ok {
		p.add(".I " + roff(arguments))
	}
}

// option adds a flag.
func (p *page) option(f *pflag.Flag) {
	if f.Hidden || f.Name == "help" {
		return
	}
	_, usage := pflag.UnquoteUsage(f)
	switch f.DefValue {
	case "", "false", "0", "[]":
	default:
		usage += " (default " + f.DefValue + ")"
	}
	p.add(".TP", flagText(f, true))
	p.fill(strings.Fields(usage))
}

// flagText is a flag with its value, by all its names or by the shortest.
func flagText(f *pflag.Flag, all bool) string {
	text := "\\fB\\-\\-" + roff(f.Name) + "\\fR"
	if f.Shorthand != "" {
		short := "\\fB\\-" + roff(f.Shorthand) + "\\fR"
		if all {
			text = short + ", " + text
		} else {
			text = short
		}
	}
	if name, _ := pflag.UnquoteUsage(f); name != "" {
		text += " \\fI" + roff(name) + "\\fR"
	}
	return text
}

// roff protects what would mean something else to the formatter.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`).Replace(s)
	if strings.HasPrefix(s, ".") {
		s = `\&` + s
	}
	return s
}
