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
			complain("waiting: " + summary(s, time.Now()))
		}
	}
	return w
}

// show writes the line over the one before.
func (w *waiting) show() {
	if w.ticker == nil {
		return
	}
	width, _ := terminalWidth(w.out)
	s, err := w.status()
	if err != nil {
		return
	}
	now := time.Now()
	line := fmt.Sprintf("dirlock: waiting for %s: %s", roughly(now.Sub(w.start)), summary(s, now))
	// The last column stays empty: many terminals go to the next line after it.
	if line = line[:min(len(line), max(width-1, 0))]; len(line) < w.shown {
		line += strings.Repeat(" ", min(w.shown, width-1)-len(line))
	}
	fmt.Fprint(w.out, "\r", line)
	w.shown = len(line)
}

// stop clears the line. There need not be one, nor w.
func (w *waiting) stop() {
	if w == nil || w.ticker == nil {
		return
	}
	w.ticker.Stop()
	w.ticker = nil
	width, _ := terminalWidth(w.out)
	if n := min(w.shown, width-1); n > 0 {
		fmt.Fprint(w.out, "\r", strings.Repeat(" ", n), "\r")
	}
}
