package docs_test

import (
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	fenced  = regexp.MustCompile("(?ms)^\\s*```.*?^\\s*```$")
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	link    = regexp.MustCompile(`\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\(([^()\s]*)\)`)
)

// page is the text of a page, without its code.
func page(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return fenced.ReplaceAllString(string(text), "")
}

// anchors are the names of a page's headings, as code hosts make them.
func anchors(t *testing.T, path string) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	for _, m := range heading.FindAllStringSubmatch(page(t, path), -1) {
		name := strings.ToLower(link.ReplaceAllString(m[1], "$1"))
		name = regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(name, "")
		names[strings.ReplaceAll(name, " ", "-")] = true
	}
	return names
}

// Every link to something in the repository leads somewhere.
func TestLinks(t *testing.T) {
	var pages []string
	for _, pattern := range []string{"../*.md", "*.md", "../.github/*.md", "../.github/*/*.md"} {
		found, err := filepath.Glob(pattern)
		require.NoError(t, err)
		pages = append(pages, found...)
	}
	links := 0
	for _, path := range pages {
		for _, m := range link.FindAllStringSubmatch(page(t, path), -1) {
			u, err := url.Parse(m[2])
			if !assert.NoError(t, err, path) || u.Scheme != "" {
				continue
			}
			links++
			target := path
			if u.Path != "" {
				target = filepath.Join(filepath.Dir(path), filepath.FromSlash(u.Path))
				_, err := os.Stat(target)
				if !assert.NoError(t, err, "%s: [%s](%s)", path, m[1], m[2]) {
					continue
				}
			}
			if u.Fragment != "" && strings.HasSuffix(target, ".md") {
				assert.True(t, anchors(t, target)[u.Fragment], "%s: no heading for [%s](%s)", path, m[1], m[2])
			}
		}
	}
	assert.Greater(t, links, 30)
}

// Every row of the README's promises names what shows it: tests, each of which is
// in the file that the link leads to, or runs, whose results are on a page.
func TestPromises(t *testing.T) {
	text := page(t, "../README.md")
	_, table, found := strings.Cut(text, "\n| Promise |")
	require.True(t, found)
	table, _, _ = strings.Cut(table, "\n\n")
	rows := strings.Split(strings.TrimSpace(table), "\n")[2:]
	require.Greater(t, len(rows), 8)
	for _, row := range rows {
		shows := row[strings.LastIndex(strings.TrimSuffix(row, "|"), "|"):]
		links := link.FindAllStringSubmatch(shows, -1)
		assert.NotEmpty(t, links, "nothing shows that %s", row)
		for _, m := range links {
			name, test, file := strings.Trim(m[1], "`"), strings.HasPrefix(strings.Trim(m[1], "`"), "Test"), m[2]
			if !test {
				assert.Regexp(t, `^docs/.*#.|^scripts/.|/testdata/.`, file, "%s is neither a test nor a run", name)
				continue
			}
			source, err := os.ReadFile(filepath.Join("..", filepath.FromSlash(file)))
			if assert.NoError(t, err) {
				assert.True(t, strings.Contains(string(source), "\nfunc "+name+"(t *testing.T)"), "%s is not in %s", name, file)
			}
		}
	}
}
