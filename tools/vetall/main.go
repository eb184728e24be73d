// Vetall does for many systems and architectures what go vet does for one. It
// checks the types of the packages and of all that they import from the source,
// where go vet compiles it: on a fresh machine, that is 5 seconds of processor
// time for a pair, not 130.
//
//	vetall DIR PAIRS PACKAGE... // PAIRS is like "linux/386 plan9/arm"
//
// What it needs the go command to be told is in the environment. It exits with 1
// if there is anything to report, and writes that to the standard error.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"

	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/checker"
	"golang.org/x/tools/go/analysis/passes/appends"
	"golang.org/x/tools/go/analysis/passes/asmdecl"
	"golang.org/x/tools/go/analysis/passes/assign"
	"golang.org/x/tools/go/analysis/passes/atomic"
	"golang.org/x/tools/go/analysis/passes/bools"
	"golang.org/x/tools/go/analysis/passes/buildtag"
	"golang.org/x/tools/go/analysis/passes/cgocall"
	"golang.org/x/tools/go/analysis/passes/composite"
	"golang.org/x/tools/go/analysis/passes/copylock"
	"golang.org/x/tools/go/analysis/passes/defers"
	"golang.org/x/tools/go/analysis/passes/directive"
	"golang.org/x/tools/go/analysis/passes/errorsas"
	"golang.org/x/tools/go/analysis/passes/framepointer"
	"golang.org/x/tools/go/analysis/passes/hostport"
	"golang.org/x/tools/go/analysis/passes/httpresponse"
	"golang.org/x/tools/go/analysis/passes/ifaceassert"
	"golang.org/x/tools/go/analysis/passes/loopclosure"
	"golang.org/x/tools/go/analysis/passes/lostcancel"
	"golang.org/x/tools/go/analysis/passes/nilfunc"
	"golang.org/x/tools/go/analysis/passes/printf"
	"golang.org/x/tools/go/analysis/passes/shift"
	"golang.org/x/tools/go/analysis/passes/sigchanyzer"
	"golang.org/x/tools/go/analysis/passes/slog"
	"golang.org/x/tools/go/analysis/passes/stdmethods"
	"golang.org/x/tools/go/analysis/passes/stdversion"
	"golang.org/x/tools/go/analysis/passes/stringintconv"
	"golang.org/x/tools/go/analysis/passes/structtag"
	"golang.org/x/tools/go/analysis/passes/testinggoroutine"
	"golang.org/x/tools/go/analysis/passes/tests"
	"golang.org/x/tools/go/analysis/passes/timeformat"
	"golang.org/x/tools/go/analysis/passes/unmarshal"
	"golang.org/x/tools/go/analysis/passes/unreachable"
	"golang.org/x/tools/go/analysis/passes/unsafeptr"
	"golang.org/x/tools/go/analysis/passes/unusedresult"
	"golang.org/x/tools/go/analysis/passes/waitgroup"
	"golang.org/x/tools/go/packages"
)

// suite is what go vet runs: see cmd/vet/main.go of Go 1.26.
var suite = []*analysis.Analyzer{
	appends.Analyzer,
	asmdecl.Analyzer,
	assign.Analyzer,
	atomic.Analyzer,
	bools.Analyzer,
	buildtag.Analyzer,
	cgocall.Analyzer,
	composite.Analyzer,
	copylock.Analyzer,
	defers.Analyzer,
	directive.Analyzer,
	errorsas.Analyzer,
	framepointer.Analyzer,
	httpresponse.Analyzer,
	hostport.Analyzer,
	ifaceassert.Analyzer,
	loopclosure.Analyzer,
	lostcancel.Analyzer,
	nilfunc.Analyzer,
	printf.Analyzer,
	shift.Analyzer,
	sigchanyzer.Analyzer,
	slog.Analyzer,
	stdmethods.Analyzer,
	stdversion.Analyzer,
	stringintconv.Analyzer,
	structtag.Analyzer,
	tests.Analyzer,
	testinggoroutine.Analyzer,
	timeformat.Analyzer,
	unmarshal.Analyzer,
	unreachable.Analyzer,
	unsafeptr.Analyzer,
	unusedresult.Analyzer,
	waitgroup.Analyzer,
}

func main() {
	if len(os.Args) < 4 {
		fmt.Fprintln(os.Stderr, "usage: vetall DIR PAIRS PACKAGE...")
		os.Exit(2)
	}
	dir, pairs, patterns := os.Args[1], strings.Fields(os.Args[2]), os.Args[3:]

	var (
		wg     sync.WaitGroup
		mu     sync.Mutex // of what follows, and of the output
		failed []string
	)
	slots := make(chan bool, runtime.GOMAXPROCS(0))
	for _, pair := range pairs {
		slots <- true
		wg.Go(func() {
			defer func() { <-slots }()
			report, n := vet(dir, pair, patterns)
			mu.Lock()
			defer mu.Unlock()
			if report != "" {
				fmt.Fprint(os.Stderr, report)
				failed = append(failed, pair)
			}
			fmt.Printf("%s: vetted %d packages\n", pair, n)
		})
	}
	wg.Wait()
	if len(failed) > 0 {
		fmt.Fprintln(os.Stderr, "vetall: failed for", strings.Join(failed, " "))
		os.Exit(1)
	}
}

// vet returns what there is to say about the packages, and how many they are.
func vet(dir, pair string, patterns []string) (report string, n int) {
	goos, goarch, _ := strings.Cut(pair, "/")
	var out strings.Builder
	say := func(format string, args ...any) {
		fmt.Fprintf(&out, pair+": "+format+"\n", args...)
	}
	pkgs, err := packages.Load(&packages.Config{
		Mode: packages.LoadAllSyntax | packages.NeedModule,
		Dir:  dir,
		Env:  append(os.Environ(), "GOOS="+goos, "GOARCH="+goarch),
	}, patterns...)
	if err != nil {
		say("%v", err)
		return out.String(), 0
	}
	if len(pkgs) == 0 {
		say("no packages match %v", patterns)
	}
	// Also of what is imported: it would not build.
	for p := range packages.Postorder(pkgs) {
		for _, e := range p.Errors {
			say("%v", e)
		}
	}
	if out.Len() > 0 {
		return out.String(), len(pkgs)
	}
	graph, err := checker.Analyze(suite, pkgs, nil)
	if err != nil {
		say("%v", err)
		return out.String(), len(pkgs)
	}
	for _, act := range graph.Roots {
		if act.Err != nil {
			say("%v", act.Err)
		}
		for _, d := range act.Diagnostics {
			say("%v: %s: %s", act.Package.Fset.Position(d.Pos), act.Analyzer.Name, d.Message)
		}
	}
	return out.String(), len(pkgs)
}
