package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/dirlock/dirlock/lock"
	"github.com/dirlock/dirlock/proc"
)

func newStatus() *cobra.Command {
	var asJSON, quiet, watch bool
	cmd := &cobra.Command{
		Use:   "status DIR...",
		Short: "Tell who holds the lock of a directory",
		Long: `Tell who holds the lock of each DIR, without taking it, and show every level
file: whether its owner is alive, dead or unknown, and why. An unknown owner is
treated as alive.

The exit status is
  0  if the lock is free,
  1  if it is held, by one or, shared, by several,
  2  if it is stale: its holder is dead, and the next one who wants the lock gets
     it,
  3  if it is unreadable: a file with an unrecognized content is in the way, and
     has to be removed by hand;
or one of those in "dirlock help exit-status" if the directory cannot be read.
With several directories it is the highest of theirs. Another process may change
the answer at any moment: to do something under the lock, use "dirlock run".`,
		Example: `  dirlock status /var/lib/backup

  # In a script.
  if dirlock status -q /var/lib/backup; then echo "no backup is running"; fi

  # Whenever it changes.
  dirlock status --watch /var/lib/backup

  # The process that holds the lock.
  dirlock status --json /var/lib/backup | jq '.levels[0].owner.pid'`,
		Args:              takes(1, -1),
		ValidArgsFunction: completeManyDirs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if watch && quiet {
				return usageError{errors.New("both --watch and -q given"), cmd.CommandPath(), "leave out one"}
			}
			if watch {
				return watchStatus(cmd.OutOrStdout(), args, asJSON)
			}
			worst := 0
			for _, dir := range args {
				code, err := showStatus(cmd.OutOrStdout(), dir, asJSON, quiet)
				if err != nil {
					return err
				}
				worst = max(worst, code)
			}
			return exitError{code: worst}
		},
	}
	addName(cmd.Flags())
	cmd.Flags().BoolVar(&asJSON, "json", false, `print a line of JSON for each DIR; see "dirlock help json"`)
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "print nothing but errors")
	cmd.Flags().BoolVar(&watch, "watch", false, "go on, and print the status again whenever it has changed")
	return cmd
}

// showStatus prints the status of a directory, and returns the exit status for
// it.
func showStatus(out io.Writer, dir string, asJSON, quiet bool) (int, error) {
	s, err := newLockOf(dir).Status()
	if err == nil {
		st, _ := s.State()
		if st == lock.Shared {
			return int(lock.Held), show(out, s, asJSON, quiet)
		}
		return int(st), show(out, s, asJSON, quiet)
	}
	code, text, hint := outcome(err)
	if asJSON && !quiet {
		return code, json.NewEncoder(out).Encode(jsonStatus{Dir: dir, State: "error", Error: text, Hint: hint, Levels: []jsonLevel{}, Readers: []jsonLevel{}, Waiting: []jsonLevel{}})
	}
	complain(text, hint)
	return code, nil
}

func show(out io.Writer, s lock.Status, asJSON, quiet bool) error {
	switch {
	case quiet:
		return nil
	case asJSON:
		return json.NewEncoder(out).Encode(toJSON(s, time.Now()))
	}
	_, err := fmt.Fprint(out, report(s, time.Now()))
	return err
}

// report is what "dirlock status" prints.
func report(s lock.Status, now time.Time) string {
	text := summary(s, now) + "\n"
	for _, level := range s.Levels {
		text += reportLevel(fmt.Sprintf("L%d", level.N), level, now)
	}
	for _, r := range s.Readers {
		text += reportLevel("reader", r, now)
	}
	for _, w := range s.Waiting {
		text += reportLevel("waiting", w, now)
	}
	return text + howToBreak(s)
}

// howToBreak is a line with the command that breaks the lock, if nobody can know
// whether its owners live.
func howToBreak(s lock.Status) string {
	if st, _ := s.State(); st != lock.Held {
		return ""
	}
	for _, level := range s.InTheWay() {
		if level.State != proc.Unknown || level.BreakID() == "" {
			return ""
		}
	}
	return "  to release it, if its owner is gone for good: " + breakCommand(s, s.Dir) + "\n"
}

// reportLevel says what is known of the owner of one file.
func reportLevel(what string, level lock.Level, now time.Time) (text string) {
	if level.Err != nil {
		return fmt.Sprintf("  %s  %-7s  %s\n", what, levelState(level), printable(level.Reason))
	}
	text = fmt.Sprintf("  %s  %-7s  %s", what, levelState(level), level.Reason)
	if o := level.Owner; o.ID != "" {
		text += fmt.Sprintf("\n      %s, ", who(o))
		if !o.Since.IsZero() {
			text += fmt.Sprintf("for %s, ", roughly(age(o, now)))
		}
		text += "owner " + o.ID + details(level, workers(level))
	}
	return text + "\n"
}

// details is a line with what is not in the others: the user, and the processes of
// the command.
func details(level lock.Level, workers []int) string {
	var parts []string
	if user := level.Owner.User; user != "" {
		parts = append(parts, "user "+user)
	}
	const most = 10
	for i, pid := range workers[:min(len(workers), most)] {
		if i == 0 {
			parts = append(parts, fmt.Sprintf("the command is process %d", pid))
			continue
		}
		parts[len(parts)-1] += fmt.Sprintf(", %d", pid)
	}
	if len(parts) == 0 {
		return ""
	}
	return "\n      " + strings.Join(parts, "; ")
}

// summary says in one line what a status amounts to.
func summary(s lock.Status, now time.Time) string {
	dir := printable(s.Dir)
	st, level := s.State()
	switch st {
	case lock.Free:
		return dir + " is free"
	case lock.Stale:
		return fmt.Sprintf("%s is free for the next one: it was held by %s, which is dead", dir, who(level.Owner))
	case lock.Unreadable:
		return fmt.Sprintf("%s cannot be locked: %s", dir, printable(level.Err.Error()))
	}
	if st == lock.Shared {
		return sharers(s, level, now)
	}
	text := fmt.Sprintf("%s is held by %s%s", dir, who(level.Owner), since(level.Owner, now))
	if level.N > 0 {
		text = fmt.Sprintf("%s is being recovered by %s%s", dir, who(level.Owner), since(level.Owner, now))
	}
	if level.State == proc.Unknown {
		text += ", which may be dead: " + level.Reason
	}
	return text
}

// printable makes text with a path in it safe to show on a terminal, and on one
// line. The names in records are so already.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return '?'
		}
		return r
	}, text)
}

// who describes an owner.
func who(o lock.Owner) string {
	if o.ID == "" {
		return "somebody whose record is incomplete"
	}
	if !countsHere(o) {
		// People would type "kill 1".
		return strings.Replace(o.String(), fmt.Sprintf("process %d", o.PID), fmt.Sprintf("process %d of another PID namespace", o.PID), 1)
	}
	return o.String()
}

// whoBriefly is who, with the most important parts alone.
func whoBriefly(o lock.Owner) string {
	switch name := strings.TrimPrefix(strings.TrimPrefix(o.Command, runName), sessionName); {
	case o.ID == "":
		return "somebody"
	case name == "":
		return fmt.Sprintf("process %d", o.PID)
	case !countsHere(o):
		return name
	default:
		return fmt.Sprintf("%s (%d)", name, o.PID)
	}
}

// countsHere tells whether the number of an owner's process means that process on
// this machine, as far as is known.
func countsHere(o lock.Owner) bool {
	self, err := proc.OS().Self()
	return err != nil || o.Namespace == "" || self.Namespace == "" || o.Boot != self.Boot || o.Namespace == self.Namespace
}

// since says from when on an owner has the lock, by its own clock.
func since(o lock.Owner, now time.Time) string {
	if o.Since.IsZero() {
		return ""
	}
	layout := time.TimeOnly
	if age(o, now) >= 12*time.Hour || o.Since.After(now) {
		layout = time.DateTime
	}
	return " since " + o.Since.Local().Format(layout)
}

// age is how long an owner has had the lock. The clocks of two machines differ:
// it is never negative. Of an owner that does not say since when, it is 0.
func age(o lock.Owner, now time.Time) time.Duration {
	if o.Since.IsZero() {
		return 0
	}
	return max(now.Sub(o.Since), 0)
}

// roughly shows a duration to a person.
func roughly(d time.Duration) string {
	if d >= 10*time.Second {
		return d.Round(time.Second).String()
	}
	return d.Round(time.Millisecond).String()
}

// levelState says in a word what is known of a level file.
func levelState(level lock.Level) string {
	if level.Err != nil {
		return lock.Unreadable.String()
	}
	return level.State.String()
}
