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

// HTML writes a page that shows the trace and needs nothing else. The
// introduction may have links.
func (tr *Trace) HTML(w io.Writer, title string, intro template.HTML) error {
	var picture strings.Builder
	if err := tr.SVG(&picture); err != nil {
		return err
	}
	// Within a page, the name of the language is known.
	svg := strings.Replace(picture.String(), svgNamespace, "", 1)
	return page.Execute(w, map[string]any{
		"Title": title, "Intro": intro, "Property": tr.Property, "Detail": tr.Detail,
		"Picture": template.HTML(svg), "Replay": tr.Replay,
	})
}

var page = template.Must(template.New("").Parse(`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{{.Title}}</title>
<style>
:root { color-scheme: light dark; --ink: #1f2328; --paper: #ffffff; --alarm: #fdecea; --code: #f0f2f4; --link: #0969da; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --paper: #0d1117; --alarm: #3c1618; --code: #21262d; --link: #58a6ff; } }
body { font: 16px/1.5 system-ui, sans-serif; margin: 1em auto; padding: 0 .8em; max-width: 44em; color: var(--ink); background: var(--paper); }
h1 { font-size: 1.4em; margin: 0 0 .4em; }
p { margin: .6em 0; }
a { color: var(--link); }
.broken { border-left: 5px solid #cf222e; background: var(--alarm); padding: .5em .8em; }
.picture { overflow-x: auto; }
.picture svg { display: block; max-width: 100%; min-width: 380px; height: auto; }
code { font-family: ui-monospace, monospace; background: var(--code); padding: 1px 4px; overflow-wrap: anywhere; }
</style>
</head>
<body>
<h1>{{.Title}}</h1>
{{if .Intro}}<p>{{.Intro}}</p>{{end}}
{{if .Property}}<p class="broken"><b>Broken: {{.Property}}.</b> In the last step, {{.Detail}}.</p>{{end}}
<p>Time runs downwards, one operation at a time. Each process has a line: thick and green from an acquisition to the start of its Unlock, with a cross where the process dies. On the right are the level files after the step: <b>A1</b> is the first record that A wrote, <b>A1†</b> the same once A is dead, <b>A1°</b> once A has let go of the file.</p>
<div class="picture">
{{.Picture}}</div>
<p>Replay: <code>{{.Replay}}</code></p>
</body>
</html>
`))
