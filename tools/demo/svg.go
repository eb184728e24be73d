package main

import (
	"fmt"
	"html"
	"strings"
	"time"
)

// In units of the picture.
const (
	cell     = 8.4 // width of a character of 14 units
	line     = 19.0
	padding  = 12.0
	title    = 26.0
	gap      = 14.0
	width    = columns*cell + 2*padding
	together = 60 * time.Millisecond // what changes within this is one frame
	rest     = 5 * time.Second       // at the end, before it begins again
)

// draw makes a picture that moves: one window below the other. Where it does not
// move, because nothing moves there or a person does not want it, it shows the
// end.
func draw(casts []cast) []byte {
	var total time.Duration
	h := -gap
	for _, c := range casts {
		total = max(total, c.events[len(c.events)-1].at)
		h += c.height() + gap
	}
	total += rest
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" width="%.0f" height="%.0f" role="img" aria-label="Two terminals: one process holds the lock of a directory, another one waits, and gets it when the first is killed.">
<style>
text { font: 14px ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace; fill: #e6edf3; white-space: pre; }
.bar { font: 13px system-ui, sans-serif; fill: #9da7b3; }
.typed { fill: #7ee787; }
@media (prefers-reduced-motion: reduce) { .film { animation: none !important; } }
`, width, h, width, h)
	films := make([][]frame, len(casts))
	for i, c := range casts {
		films[i] = frames(c)
		last, inside := len(films[i])-1, c.inside()
		fmt.Fprintf(&b, "#film%d { transform: translateY(%.0fpx); animation: film%d %.2fs step-end infinite; }\n@keyframes film%d {\n", i, -inside*float64(last), i, total.Seconds(), i)
		for n, f := range films[i] {
			fmt.Fprintf(&b, "%.2f%% { transform: translateY(%.0fpx); }\n", 100*f.at.Seconds()/total.Seconds(), -inside*float64(n))
		}
		b.WriteString("}\n")
	}
	b.WriteString("</style>\n")
	y := 0.0
	for i, film := range films {
		height, inside := casts[i].height(), casts[i].inside()
		fmt.Fprintf(&b, `<clipPath id="screen%d"><rect width="%.0f" height="%.0f"/></clipPath>
<g transform="translate(0 %.0f)"><rect width="%.0f" height="%.0f" rx="8" fill="#0d1117" stroke="#30363d"/>
<circle cx="16" cy="14" r="5" fill="#484f58"/><circle cx="32" cy="14" r="5" fill="#484f58"/><text class="bar" x="48" y="18">terminal %d</text>
<g transform="translate(%.0f %.0f)" clip-path="url(#screen%d)"><g id="film%d" class="film">
`, i, width, inside, y, width, height, i+1, padding, title+padding, i, i)
		y += height + gap
		for n, f := range film {
			f.draw(&b, float64(n)*inside)
		}
		b.WriteString("</g></g></g>\n")
	}
	b.WriteString("</svg>\n")
	return []byte(b.String())
}

func (c cast) inside() float64 { return float64(c.rows) * line }

func (c cast) height() float64 { return title + c.inside() + 2*padding }

// frame is a screen from some time on.
type frame struct {
	at    time.Duration
	lines []string
}

func (f frame) draw(b *strings.Builder, y float64) {
	for i, text := range f.lines {
		if text == "" {
			continue
		}
		class := ""
		if strings.HasPrefix(text, "$ ") && text != "$ " {
			class = ` class="typed"`
		}
		fmt.Fprintf(b, "<text%s y=\"%.0f\">%s</text>\n", class, y+float64(i+1)*line-5, html.EscapeString(text))
	}
}

// frames plays a recording.
func frames(c cast) []frame {
	s := screen{cells: make([][columns]rune, c.rows)}
	var out []frame
	for i, e := range c.events {
		s.print(e.text)
		if n := len(out); n > 0 && i+1 < len(c.events) && c.events[i+1].at-out[n-1].at < together {
			continue
		}
		f := frame{e.at, s.lines()}
		if n := len(out); n > 0 && strings.Join(out[n-1].lines, "\n") == strings.Join(f.lines, "\n") {
			continue
		}
		out = append(out, f)
	}
	out[0].at = 0
	return out
}
