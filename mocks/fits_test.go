package mocks_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dirlock/dirlock/fsys"
	"github.com/dirlock/dirlock/lock"
	"github.com/dirlock/dirlock/mocks/gomocks"
	"github.com/dirlock/dirlock/mocks/testifymocks"
	"github.com/dirlock/dirlock/proc"
)

// A mock that no longer fits its interface still compiles by itself.
var (
	_ lock.TryLocker     = (*gomocks.MockTryLocker)(nil)
	_ lock.TryLockerSafe = (*gomocks.MockTryLockerSafe)(nil)
	_ lock.ContextLocker = (*gomocks.MockContextLocker)(nil)

	_ fsys.FS          = (*gomocks.MockFS)(nil)
	_ fsys.Dir         = (*gomocks.MockDir)(nil)
	_ fsys.File        = (*gomocks.MockFile)(nil)
	_ fsys.Inheritor   = (*gomocks.MockInheritor)(nil)
	_ fsys.Maker       = (*gomocks.MockMaker)(nil)
	_ fsys.Witnesser   = (*gomocks.MockWitnesser)(nil)
	_ fsys.Localizer   = (*gomocks.MockLocalizer)(nil)
	_ fsys.Watcher     = (*gomocks.MockWatcher)(nil)
	_ fsys.Opener      = (*gomocks.MockOpener)(nil)
	_ fsys.Peeker      = (*gomocks.MockPeeker)(nil)
	_ fsys.OpenDir     = (*gomocks.MockOpenDir)(nil)
	_ fsys.Wrapper     = (*gomocks.MockWrapper)(nil)
	_ fsys.Preparer    = (*gomocks.MockPreparer)(nil)
	_ fsys.Prepared    = (*gomocks.MockPrepared)(nil)
	_ fsys.Sweeper     = (*gomocks.MockSweeper)(nil)
	_ fsys.PartSweeper = (*gomocks.MockPartSweeper)(nil)
	_ fsys.Remover     = (*gomocks.MockRemover)(nil)
	_ fsys.Swapper     = (*gomocks.MockSwapper)(nil)
	_ fsys.Tokener     = (*gomocks.MockTokener)(nil)
	_ fsys.Ender       = (*gomocks.MockEnder)(nil)
	_ fsys.Contexter   = (*gomocks.MockContexter)(nil)
	_ fsys.Queuer      = (*gomocks.MockQueuer)(nil)

	_ proc.Table    = (*gomocks.MockTable)(nil)
	_ proc.Notifier = (*gomocks.MockNotifier)(nil)

	_ lock.TryLocker     = (*testifymocks.MockTryLocker)(nil)
	_ lock.TryLockerSafe = (*testifymocks.MockTryLockerSafe)(nil)
	_ lock.ContextLocker = (*testifymocks.MockContextLocker)(nil)
)

// TestEveryInterfaceHasAMock fails when an interface is added to lock, fsys or
// proc, and not to the list in doc.go.
func TestEveryInterfaceHasAMock(t *testing.T) {
	mocks := types(t, "gomocks", func(ast.Expr) bool { return true })
	for _, pkg := range []string{"lock", "fsys", "proc"} {
		interfaces := types(t, "../"+pkg, func(e ast.Expr) bool {
			_, ok := e.(*ast.InterfaceType)
			return ok
		})
		require.NotEmpty(t, interfaces, "interfaces in %s", pkg)
		for _, name := range interfaces {
			mock := "Mock" + name
			assert.Contains(t, mocks, mock, "no mock of %s.%s: see mocks/doc.go", pkg, name)
		}
	}
}

// types returns the exported types of a directory's package that match.
func types(t *testing.T, dir string, match func(ast.Expr) bool) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	require.NoError(t, err)
	names := map[string]bool{}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		ast.Inspect(f, func(n ast.Node) bool {
			if s, ok := n.(*ast.TypeSpec); ok && s.Name.IsExported() && match(s.Type) {
				names[s.Name.Name] = true
			}
			return true
		})
	}
	return slices.Sorted(maps.Keys(names))
}

// TestEveryMockIsGenerated fails when somebody adds a file by hand, other than the
// package comment.
func TestEveryMockIsGenerated(t *testing.T) {
	for _, dir := range []string{"gomocks", "testifymocks"} {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || d.Name() == "doc.go" {
				return err
			}
			f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments|parser.PackageClauseOnly)
			if assert.NoError(t, err) {
				assert.True(t, ast.IsGenerated(f), "%s is not generated", path)
			}
			return nil
		})
		require.NoError(t, err)
	}
}
