package explore

import (
	"fmt"
	"html"
	"io"
	"strings"
)

// In units of the picture: what a row and a column take.
const (
	rowHeight   = 23
	headHeight  = 30
	numberWidth = 30
	laneWidth   = 26
	runeWidth   = 6.8 // more than most letters of 13 units
	fileWidth   = 40
)

// svgNamespace makes a file of its own an SVG.
const svgNamespace = ` xmlns="http://www.w3.org/2000/svg"`

// svgStyle serves the picture alone and within a page, in light and dark.
const svgStyle = `
svg.trace { --ink: #1f2328; --faint: #59636e; --rule: #d1d9e0; --paper: #ffffff; --owns: #2da44e; --death: #cf222e; --live: #ffe8cc; --liveline: #c2410c; --dead: #e4e7eb; }
@media (prefers-color-scheme: dark) { svg.trace { --ink: #e6edf3; --faint: #9198a1; --rule: #3d444d; --paper: #0d1117; --owns: #3fb950; --death: #f85149; --live: #5a3010; --liveline: #f0883e; --dead: #2d333b; } }
svg.trace text { font: 13px system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif; fill: var(--ink); }
svg.trace .paper { fill: var(--paper); }
svg.trace .head { font-weight: 600; }
svg.trace .n { fill: var(--faint); text-anchor: end; }
svg.trace .mid { text-anchor: middle; }
svg.trace .rule { stroke: var(--rule); }
svg.trace .life { stroke: var(--rule); stroke-width: 2; }
svg.trace .owns { stroke: var(--owns); stroke-width: 8; }
svg.trace .dot { fill: var(--faint); }
svg.trace .fails { fill: none; stroke: #ef6c00; stroke-width: 2; }
svg.trace .death { stroke: var(--death); stroke-width: 3; }
svg.trace .dies { fill: var(--death); font-weight: 600; }
svg.trace .live { fill: var(--live); stroke: none; }
svg.trace .dead { fill: var(--dead); stroke: none; }
svg.trace .new { stroke: var(--liveline); stroke-width: 1.5; }
svg.trace .broken { fill: none; stroke: var(--death); stroke-width: 2; }
`

// SVG writes a picture that shows the trace, narrow enough for a telephone. A
// thread has a line, which is thick and green between an acquisition and the
// start of its Unlock, and ends in a cross.
func (tr *Trace) SVG(w io.Writer) error {
	p := picture{tr: tr, levels: tr.levels()}
	longest := 0
	for i := range tr.Steps {
		longest = max(longest, len([]rune(tr.Steps[i].cell())))
	}
	p.text = float64(numberWidth + laneWidth*len(tr.Lanes) + 6)
	p.files = p.text + max(150, runeWidth*float64(longest)) + 4
	width := p.files + float64(fileWidth*p.levels) + 6
	height := p.y(len(tr.Steps)+1) + 8
	p.printf(`<svg class="trace"`+svgNamespace+` viewBox="0 0 %.0f %.0f" width="%.0f" height="%.0f" role="img" aria-label="%s">`,
		width, height, width, height, html.EscapeString(tr.Title()))
	p.printf("\n<style>%s</style>\n<rect class=\"paper\" width=\"%.0f\" height=\"%.0f\" rx=\"6\"/>\n", svgStyle, width, height)
	p.head()
	p.lives()
	p.view(0, tr.FirstLook)
	for i := range tr.Steps {
		p.step(i, width)
	}
	if tr.Property != "" {
		p.printf(`<rect class="broken" x="2" y="%.0f" width="%.0f" height="%d" rx="3"/>`+"\n", p.y(len(tr.Steps))+1, width-4, rowHeight-2)
	}
	p.WriteString("</svg>\n")
	_, err := io.WriteString(w, p.String())
	return err
}

type picture struct {
	strings.Builder
	tr          *Trace
	levels      int
	text, files float64 // where these columns begin
}

func (p *picture) printf(format string, args ...any) { fmt.Fprintf(&p.Builder, format, args...) }

// y is where a row begins; row 0 is what was there before the first step.
func (p *picture) y(row int) float64 { return float64(headHeight + row*rowHeight) }

func (p *picture) lane(i int) float64 { return float64(numberWidth + laneWidth*i + laneWidth/2) }

func (p *picture) head() {
	for i, name := range p.tr.Lanes {
		short, _, _ := strings.Cut(name, " ")
		p.printf(`<text class="head mid" x="%.0f" y="20">%s<title>%s</title></text>`, p.lane(i), html.EscapeString(short), html.EscapeString(name))
	}
	for l := range p.levels {
		p.printf(`<text class="head mid" x="%.0f" y="20">%s</text>`, p.file(l), levelName(l))
	}
	p.WriteByte('\n')
}

func (p *picture) file(l int) float64 { return p.files + float64(fileWidth*l) + fileWidth/2 }

// lives draws the lines of the threads: all that a step says of one is its own.
func (p *picture) lives() {
	for lane := range p.tr.Lanes {
		owns := false
		from, end := 0, len(p.tr.Steps)
		for i := range p.tr.Steps {
			s := &p.tr.Steps[i]
			if s.Lane != lane {
				continue
			}
			if from == 0 {
				from = i + 1
			}
			if s.Owns != owns || s.Dies {
				if owns {
					p.line("owns", lane, from, i+1)
				} else {
					p.line("life", lane, from, i+1)
				}
				owns, from = s.Owns && !s.Dies, i+1
			}
			if s.Dies {
				end = i + 1
				break
			}
		}
		if from > 0 && from < end {
			class := "life"
			if owns {
				class = "owns"
			}
			p.line(class, lane, from, end)
		}
	}
}

func (p *picture) line(class string, lane, from, to int) {
	p.printf(`<path class="%s" d="M%.0f %.1fV%.1f"/>`+"\n", class, p.lane(lane), p.y(from)+rowHeight/2, p.y(to)+rowHeight/2)
}

func (p *picture) step(i int, width float64) {
	s := &p.tr.Steps[i]
	y := p.y(i + 1)
	p.printf(`<path class="rule" d="M4 %.0fH%.0f"/><text class="n" x="%d" y="%.0f">%d</text>`, y, width-4, numberWidth-8, y+16, i+1)
	class, text := "", s.cell()
	if s.Dies {
		class, text = ` class="dies"`, "† dies"
	}
	if s.Lane >= 0 {
		x, y := p.lane(s.Lane), y+rowHeight/2
		switch {
		case s.Dies:
			p.printf(`<path class="death" d="M%.0f %.0fl10 10m0-10l-10 10"/>`, x-5, y-5)
		default:
			p.printf(`<circle class="dot" cx="%.0f" cy="%.0f" r="4"/>`, x, y)
		}
		if s.Fails {
			p.printf(`<circle class="fails" cx="%.0f" cy="%.0f" r="7"/>`, x, y)
		}
	}
	p.printf(`<text%s x="%.0f" y="%.0f">%s</text>`, class, p.text, y+16, html.EscapeString(text))
	p.view(i+1, s.Files)
	p.WriteByte('\n')
}

// view draws what stands at the levels.
func (p *picture) view(row int, files []FileView) {
	for l, f := range files[:p.levels] {
		class := "live"
		if f.Dead || f.Gone {
			class = "dead"
		}
		if f.New {
			class += " new"
		}
		x, y := p.file(l), p.y(row)
		if f.Text != "" || f.New {
			if f.Text == "" {
				class = "paper new"
			}
			p.printf(`<rect class="%s" x="%.0f" y="%.0f" width="%d" height="%d" rx="3"/>`, class, x-fileWidth/2+2, y+3, fileWidth-4, rowHeight-6)
			p.printf(`<text class="mid" x="%.0f" y="%.0f">%s</text>`, x, y+16, html.EscapeString(f.String()))
		}
	}
}
