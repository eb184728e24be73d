package explore

import (
	"fmt"
	"html/template"
	"io"
	"strings"
)

// levels returns how many levels are worth showing.
func (tr *Trace) levels() int {
	n := 1
	for _, files := range append([][]FileView{tr.FirstLook}, tr.files()...) {
		for l, f := range files {
			if f.Text != "" {
				n = max(n, l+1)
			}
		}
	}
	return n
}

func (tr *Trace) files() (out [][]FileView) {
	for _, s := range tr.Steps {
		out = append(out, s.Files)
	}
	return out
}

// Title says in a line what went wrong, or that nothing did.
func (tr *Trace) Title() string {
	if tr.Property == "" {
		return fmt.Sprintf("nothing is broken after %d steps", len(tr.Steps))
	}
	return fmt.Sprintf("%s: broken in step %d: %s", tr.Property, len(tr.Steps), tr.Detail)
}

// cell is what a step says in its own lane.
func (s *TraceStep) cell() string {
	text := s.Op
	if s.Call != "" {
		text = s.Call + ": " + text
	}
	if s.Result != "" {
		text += " → " + s.Result
	}
	for _, m := range s.Marks {
		text += "; " + m
	}
	return text
}

func (f FileView) String() string {
	switch {
	case f.Text == "torn" && f.Dead, strings.HasPrefix(f.Text, "stale"), strings.HasPrefix(f.Text, "copy"):
		return f.Text
	case f.Dead:
		return f.Text + "†"
	case f.Gone:
		return f.Text + "°"
	}
	return f.Text
}

// String draws the trace with one lane per thread, for a terminal. A dagger
// marks the records of the dead, a ring those of which a living owner has let go;
// A1 is the first record of A.
func (tr *Trace) String() string {
	levels := tr.levels()
	width := make([]int, len(tr.Lanes))
	for i, name := range tr.Lanes {
		width[i] = len(name)
	}
	for i := range tr.Steps {
		if s := &tr.Steps[i]; s.Lane >= 0 {
			width[s.Lane] = max(width[s.Lane], len([]rune(s.cell())))
		}
	}
	fw := make([]int, levels)
	for l := range fw {
		fw[l] = 2
		for _, files := range append([][]FileView{tr.FirstLook}, tr.files()...) {
			fw[l] = max(fw[l], len([]rune(files[l].String())))
		}
	}
	var b strings.Builder
	row := func(n string, cell func(lane int) string, files func(l int) string) {
		fmt.Fprintf(&b, "%4s ", n)
		for i := range tr.Lanes {
			fmt.Fprintf(&b, " %-*s ", width[i], cell(i))
		}
		b.WriteString("│")
		for l := range levels {
			fmt.Fprintf(&b, " %-*s", fw[l], files(l))
		}
		out := strings.TrimRight(b.String(), " ")
		b.Reset()
		b.WriteString(out + "\n")
	}
	fmt.Fprintf(&b, "%s\n\n", tr.Title())
	row("step", func(i int) string { return tr.Lanes[i] }, levelName)
	row("", func(int) string { return "" }, func(l int) string { return tr.FirstLook[l].String() })
	for i := range tr.Steps {
		s := &tr.Steps[i]
		row(fmt.Sprint(i+1), func(lane int) string {
			if lane == s.Lane || s.Lane == none && lane == 0 {
				return s.cell()
			}
			return ""
		}, func(l int) string { return s.Files[l].String() })
	}
	fmt.Fprintf(&b, "\nreplay: -explore.replay='%s'\n", tr.Replay)
	return b.String()
}

// HTML writes a page that shows the trace and needs nothing else.
func (tr *Trace) HTML(w io.Writer, title, intro string) error {
	type cell struct {
		Class, Call, Op, Result string
		Marks                   []string
	}
	type filecell struct{ Class, Text string }
	type row struct {
		N     int
		Last  bool
		Cells []cell
		Files []filecell
	}
	levels := tr.levels()
	view := func(files []FileView) (out []filecell) {
		for _, f := range files[:levels] {
			class := ""
			if f.New {
				class = "new "
			}
			if f.Gone {
				class += "deadfile"
			} else if f.Text != "" {
				class += "livefile"
			}
			out = append(out, filecell{class, f.String()})
		}
		return out
	}
	var rows []row
	first := row{Cells: make([]cell, len(tr.Lanes)), Files: view(tr.FirstLook)}
	rows = append(rows, first)
	dead := make([]bool, len(tr.Lanes))
	owns := make([]bool, len(tr.Lanes))
	for i := range tr.Steps {
		s := &tr.Steps[i]
		r := row{N: i + 1, Last: i == len(tr.Steps)-1 && tr.Property != "", Cells: make([]cell, len(tr.Lanes)), Files: view(s.Files)}
		for lane := range r.Cells {
			c := &r.Cells[lane]
			if lane == s.Lane {
				c.Call, c.Op, c.Result, c.Marks = s.Call, s.Op, s.Result, s.Marks
				owns[lane] = s.Owns
				c.Class = "act "
				if s.Dies {
					dead[lane], owns[lane] = true, false
					c.Class, c.Op = "dies ", "† dies"
				}
				if s.Fails {
					c.Class += "fails "
				}
			} else if dead[lane] {
				c.Class = "dead "
			}
			if owns[lane] {
				c.Class += "owns"
			}
			if s.Lane == none && lane == 0 {
				c.Op, c.Class = s.Op, "fails"
			}
		}
		rows = append(rows, r)
	}
	var names []string
	for l := range levels {
		names = append(names, levelName(l))
	}
	return page.Execute(w, map[string]any{
		"Title": title, "Intro": intro, "Property": tr.Property, "Detail": tr.Detail,
		"Lanes": tr.Lanes, "Levels": names, "Rows": rows, "Replay": tr.Replay, "NLanes": len(tr.Lanes), "NLevels": levels,
	})
}

var page = template.Must(template.New("").Parse(`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{{.Title}}</title>
<style>
body { font: 15px/1.4 system-ui, sans-serif; margin: 1.5em; color: #1c1c1c; background: #fff; }
h1 { font-size: 1.4em; margin: 0 0 .4em; }
p { max-width: 62em; margin: .4em 0; }
.broken { border-left: 5px solid #c62828; background: #fdecea; padding: .5em .8em; }
table { border-collapse: collapse; margin: 1em 0; }
th, td { padding: 3px 8px; text-align: left; vertical-align: top; border-bottom: 1px solid #e4e4e4; }
thead th { position: sticky; top: 0; background: #37474f; color: #fff; font-weight: 600; }
thead th.files { background: #5d4037; }
td.n { color: #777; text-align: right; }
td.lane { border-left: 1px solid #ccc; min-width: 8.5em; }
td.act { background: #eceff1; }
td.owns { background: #c8e6c9; border-left: 4px solid #2e7d32; }
td.dies { background: #c62828; color: #fff; font-weight: 600; }
td.dead { background: repeating-linear-gradient(135deg, #f1f1f1 0 5px, #fff 5px 10px); }
td.fails { outline: 2px solid #ef6c00; outline-offset: -2px; }
.result { color: #555; }
.call { display: block; font-size: .8em; color: #1565c0; }
.mark { display: block; font-weight: 700; color: #1b5e20; }
td.file { font-family: ui-monospace, monospace; border-left: 1px solid #ddd; min-width: 2.4em; white-space: nowrap; }
td.first { border-left: 3px solid #5d4037; }
td.livefile { background: #fff3e0; }
td.deadfile { background: #e0e0e0; color: #555; }
td.new { font-weight: 700; box-shadow: inset 0 -3px #ef6c00; }
tr.last td { border-top: 3px solid #c62828; border-bottom: 3px solid #c62828; }
.legend span { padding: 1px 8px; margin-right: .8em; display: inline-block; }
code { font-family: ui-monospace, monospace; background: #f3f3f3; padding: 1px 4px; overflow-wrap: anywhere; }
</style>
</head>
<body>
<h1>{{.Title}}</h1>
{{if .Intro}}<p>{{.Intro}}</p>{{end}}
{{if .Property}}<p class="broken"><b>What breaks: {{.Property}}.</b> In the last step, {{.Detail}}.</p>{{end}}
<p>Time runs downwards, one file operation at a time. Each process has a column. The columns on the right show what the
level files hold after the step; empty means that there is no such file.
<b>A1</b> is the first record that A wrote, <b>A1†</b> the same once A is dead, <b>A1°</b> once A has let go of the file.{{if .Property}} The red frame is the step in which the property breaks.{{end}}</p>
<p class="legend"><span style="background:#c8e6c9;border-left:4px solid #2e7d32">owns the lock</span>
<span style="background:#c62828;color:#fff">† dies</span>
<span style="background:#fff3e0">record of a living process</span>
<span style="background:#e0e0e0">record of a dead one</span>
<span style="box-shadow:inset 0 -3px #ef6c00">changed by this step</span></p>
<div style="overflow-x:auto"><table>
<thead><tr><th></th>{{range .Lanes}}<th>{{.}}</th>{{end}}{{range .Levels}}<th class="files">{{.}}</th>{{end}}</tr></thead>
<tbody>
{{range .Rows}}<tr{{if .Last}} class="last"{{end}}><td class="n">{{if .N}}{{.N}}{{else}}start{{end}}</td>
{{- range .Cells}}<td class="lane {{.Class}}">{{if .Call}}<span class="call">{{.Call}}</span>{{end}}{{.Op}}{{if .Result}} <span class="result">→ {{.Result}}</span>{{end}}{{range .Marks}}<span class="mark">{{.}}</span>{{end}}</td>{{end}}
{{- range $i, $f := .Files}}<td class="file {{if eq $i 0}}first {{end}}{{$f.Class}}">{{$f.Text}}</td>{{end}}</tr>
{{end}}</tbody>
</table></div>
<p>Replay: <code>{{.Replay}}</code></p>
</body>
</html>
`))
