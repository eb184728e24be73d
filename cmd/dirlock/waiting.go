package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/dirlock/dirlock/lock"
)

// waiting tells a person that dirlock waits: on a terminal by one line that
// updates itself every second and is gone in the end, elsewhere by one line at
// the start.
type waiting struct {
	out    *os.File
	status func() (lock.Status, error)
	start  time.Time
	ticker *time.Ticker
	tick   <-chan time.Time // when to call show
	shown  int              // columns that are to be cleared
}

func newWaiting(out *os.File, status func() (lock.Status, error), start time.Time, quiet bool) *waiting {
	w := &waiting{out: out, status: status, start: start}
	if quiet {
		return w
	}
	if _, ok := terminalWidth(out); ok {
		w.ticker = time.NewTicker(time.Second)
		w.tick = w.ticker.C
		w.show()
		return w
	}
	if s, err := status(); err == nil {
		if st, _ := stateOf(s); st == held {
			complain("waiting: "+summary(s, time.Now()), "")
		}
	}
	return w
}

// spare is how many columns at the end of the window the line leaves empty. Many
// terminals go to the next line after the last column; and when the user presses
// Ctrl-C, the terminal adds "^C".
const spare = 3

// show writes the line over the one before.
func (w *waiting) show() {
	if w.ticker == nil || stderr.busy() {
		return
	}
	width, _ := terminalWidth(w.out)
	s, err := w.status()
	if err != nil {
		return
	}
	line := []rune(w.line(s, time.Now()))
	line = line[:min(len(line), max(width-spare, 0))]
	stderr.write("\r" + string(line) + strings.Repeat(" ", max(min(w.shown, width-spare)-len(line), 0)))
	w.shown = len(line)
}

// line is what show writes. What matters most comes first, because a window can
// be narrow.
func (w *waiting) line(s lock.Status, now time.Time) string {
	text := fmt.Sprintf("dirlock: waiting %s", now.Sub(w.start).Truncate(time.Second))
	if st, level := stateOf(s); st == held {
		verb := "held"
		if level.N > 0 {
			verb = "being recovered"
		}
		text += fmt.Sprintf(", %s%s by %s", verb, since(level.Owner, now), who(level.Owner))
	}
	return text + ": " + printable(s.Dir)
}

// stop clears the line. There need not be one, nor w.
func (w *waiting) stop() {
	if w == nil || w.ticker == nil {
		return
	}
	w.ticker.Stop()
	w.ticker = nil
	width, _ := terminalWidth(w.out)
	if w.shown > 0 {
		stderr.write("\r" + strings.Repeat(" ", max(min(w.shown+spare, width)-1, 0)) + "\r")
	}
}
