package main

import "strings"

// screen is as much of a terminal as a shell and dirlock use: lines that wrap
// and scroll, and the cursor's going back within a line. Escape sequences are
// left out.
type screen struct {
	cells    [][columns]rune
	row, col int
	escape   bool
}

func (s *screen) print(text string) {
	for _, r := range text {
		switch {
		case s.escape:
			// Until the letter that ends it.
			s.escape = r == '[' || r == '?' || r == ';' || '0' <= r && r <= '9'
		case r == '\x1b':
			s.escape = true
		case r == '\r':
			s.col = 0
		case r == '\b':
			s.col = max(s.col-1, 0)
		case r == '\n':
			s.down()
		case r < ' ':
		default:
			if s.col == columns {
				s.col = 0
				s.down()
			}
			s.cells[s.row][s.col] = r
			s.col++
		}
	}
}

func (s *screen) down() {
	if s.row < len(s.cells)-1 {
		s.row++
		return
	}
	copy(s.cells, s.cells[1:])
	s.cells[len(s.cells)-1] = [columns]rune{}
}

func (s *screen) lines() []string {
	var out []string
	for _, cells := range s.cells {
		var b strings.Builder
		for _, r := range cells {
			if r == 0 {
				r = ' '
			}
			b.WriteRune(r)
		}
		text := strings.TrimRight(b.String(), " ")
		if text == "$" {
			text = "$ "
		}
		out = append(out, text)
	}
	return out
}
