// Demo records the picture of the README: two terminals, in which the command
// runs. What it shows is what the command prints.
//
//	demo DIRLOCK OUT // DIRLOCK is the command; writes OUT-1.cast, OUT-2.cast, OUT.svg
//
// The recordings have the form of asciinema, version 2; the picture is made of
// them, and needs nothing else. Needs Unix and bash.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

const columns = 76

// rows are enough for what each terminal shows in the end.
var rows = [2]int{5, 11}

// step is what a person does: type a line in a terminal, and look at what it
// prints, until it says what is expected.
type step struct {
	terminal int
	typed    string
	until    string        // a regular expression
	look     time.Duration // for people who watch
}

// scenario is one process that waits for another, which is killed.
var scenario = []step{
	{0, "dirlock run /srv/db -- sleep 60 &", `\[1\] [0-9]+\r\n`, time.Second},
	{1, "dirlock status /srv/db", `(?s)held by.*owner [0-9a-f]{32}`, 3 * time.Second},
	{1, "dirlock run /srv/db -- echo 'my turn'", `waiting 2s`, 0},
	{0, "kill -9 %1; wait", ``, 0},
	{1, "", `my turn\r\n`, 500 * time.Millisecond},
	{0, "", `Killed`, 500 * time.Millisecond},
	{1, "dirlock status /srv/db", `is free`, 4 * time.Second},
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: demo DIRLOCK OUT")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(command, out string) error {
	tmp, err := os.MkdirTemp("", "demo")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	if command, err = filepath.Abs(command); err != nil {
		return err
	}
	if err := os.Symlink(command, filepath.Join(tmp, "dirlock")); err != nil {
		return err
	}
	start := time.Now()
	var terminals []*terminal
	for _, height := range rows {
		t, err := open(tmp, start, height)
		if err != nil {
			return err
		}
		defer t.close()
		terminals = append(terminals, t)
	}
	for _, s := range scenario {
		if err := terminals[s.terminal].do(s); err != nil {
			return fmt.Errorf("terminal %d: %w", s.terminal+1, err)
		}
	}
	var casts []cast
	for i, t := range terminals {
		casts = append(casts, cast{rows[i], t.recorded()})
		if err := os.WriteFile(fmt.Sprintf("%s-%d.cast", out, i+1), casts[i].encode(), 0o666); err != nil {
			return err
		}
	}
	return os.WriteFile(out+".svg", draw(casts), 0o666)
}
