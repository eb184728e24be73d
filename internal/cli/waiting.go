package cli

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
		if st, _ := s.State(); st == lock.Held || st == lock.Shared {
			complain("waiting: "+summary(s, time.Now()), "")
		}
	}
	return w
}

// spare is how many columns at the end of the window the line leaves empty. Many
// terminals go to the next line after the last column; and when the user presses
// Ctrl-C, the terminal adds "^C".
const spare = 3

// show writes the line over the one before. In the background it does not: the
// line is the shell's then.
func (w *waiting) show() {
	if w.ticker == nil || stderr.busy() || inBackgroundOf(w.out) {
		return
	}
	width, _ := terminalWidth(w.out)
	s, err := w.status()
	if err != nil {
		return
	}
	room := max(width-spare, 0)
	line := []rune(w.line(s, time.Now(), room))
	line = line[:min(len(line), room)]
	stderr.write(w.over(width) + string(line) + strings.Repeat(" ", max(min(w.shown, room)-len(line), 0)))
	w.shown = len(line)
}

// over moves to the start of the line before. If the window has become narrower
// than that line, the terminal has broken it.
func (w *waiting) over(width int) string {
	if rows := (w.shown + width - 1) / max(width, 1); rows > 1 {
		w.shown = 0
		return strings.Repeat("\x1b[A", rows-1) + "\r\x1b[J"
	}
	return "\r"
}

// line is what show writes: as much as there is room for.
func (w *waiting) line(s lock.Status, now time.Time, room int) string {
	begin := fmt.Sprintf("%s: waiting %s for ", theStore.Program, now.Sub(w.start).Truncate(time.Second))
	dir := printable(s.Dir)
	st, level := s.State()
	if st != lock.Held && st != lock.Shared {
		return begin + shorten(dir, room-len(begin))
	}
	verb, o := ", held by ", level.Owner
	switch {
	case level.N > 0:
		verb = ", being recovered by "
	case st == lock.Shared:
		verb = ", shared by "
	}
	for _, end := range []string{
		verb + who(o) + since(o, now),
		verb + who(o),
		verb + whoBriefly(o),
	} {
		if len(begin)+len(dir)+len(end) <= room {
			return begin + dir + end
		}
	}
	// The directory loses its beginning first, then the name its end.
	const least = 12
	begin = strings.TrimPrefix(begin, theStore.Program+": ")
	end := ": " + whoBriefly(o)
	left := max(room-len(begin)-len(end), least)
	return begin + shorten(dir, left) + end
}

// shorten returns the last n columns of a path.
func shorten(path string, n int) string {
	runes := []rune(path)
	if len(runes) <= n || n < 2 {
		return path
	}
	return "…" + string(runes[len(runes)-n+1:])
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
