// Command bench compares dirlock with the other locks that a Go program can
// choose, and prints one Markdown table a scenario.
//
//	make bench                       # everything, about twelve minutes
//	cd bench && go run . -only A,B   # some of it
//	cd bench && go run -tags prometheus .
//
// Every holder, waiter and victim is a separate process. The contenders
// take turns within a scenario, so that a busy moment hits all of them; what
// counts is the ratio to gofrs/flock in the same run. Linux only.
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"time"
)

var (
	only   = flag.String("only", "A,B,C,D,E,F,G,H,I,J,K,L,M", "which scenarios")
	dirs   = flag.String("dirs", "", "directories to measure in, separated by commas, one for each file system (default: a new ext4 and a new tmpfs, which takes root)")
	rounds = flag.Int("rounds", 5, "A, B: how often each contender has its turn")
	batch  = flag.Duration("batch", 150*time.Millisecond, "A, B: how long a turn is")
	hands  = flag.Int("handoffs", 200, "C: how many hand-offs")
	kills  = flag.Int("kills", 50, "D: how many owners to kill")
	loop   = flag.Duration("loop", 5*time.Second, "E: how long the processes contend")
	short  = flag.Duration("torture", 15*time.Second, "F: how long each contender is tortured")
	procs  = flag.Int("procs", 8, "F: how many processes")
	every  = flag.Duration("kill-every", 5*time.Millisecond, "F: how often one is killed")
	which  = flag.String("contenders", "", "only these, separated by commas")
	crowds = flag.String("crowds", "1,32,100,300,1000", "L, M: how many processes wait")
	idlers = flag.Int("idlers", 100, "I: how many processes wait")
	holds  = flag.Duration("holds", 2*time.Millisecond, "L: how long each holds the lock")
	beside = flag.String("beside", "", "other builds of dirlock: NAME=PROGRAM,…, each program a build of this one")
	child  = flag.Bool("worker", false, "be a process of a measurement")
)

func main() {
	flag.Parse()
	if *child {
		workers[flag.Arg(0)](openPlace(flag.Arg(1), false), flag.Args()[2:])
		return
	}
	if *which != "" {
		var some []Contender
		for _, name := range strings.Split(*which, ",") {
			some = append(some, contender(name))
		}
		contenders = some
	}
	addBuilds(*beside)
	if *dirs == "" {
		fresh, remove := freshDirs()
		defer remove()
		*dirs = strings.Join(fresh, ",")
	}
	scenarios := map[string]func(){
		"A": uncontended, "B": held, "C": handoff, "D": recovery, "E": contended,
		"F": torture, "G": costs, "H": imports, "I": idle, "J": sharedCost, "K": starvation,
		"L": crowd, "M": crowdRecovery,
	}
	for _, name := range strings.Split(*only, ",") {
		run := scenarios[name]
		if run == nil {
			fmt.Fprintf(os.Stderr, "bench: no scenario %q\n", name)
			os.Exit(2)
		}
		run()
	}
}

// table prints a title and a head. The first two columns are words.
func table(title, note string, columns ...string) {
	fmt.Printf("### %s\n\n%s Load before: %s.\n\n", title, note, load())
	fmt.Println("| " + strings.Join(columns, " | ") + " |")
	fmt.Println("| --- | --- |" + strings.Repeat(" --: |", len(columns)-2))
}

func row(cells ...any) {
	for _, c := range cells {
		if d, ok := c.(time.Duration); ok {
			c = short3(d)
		}
		fmt.Printf("| %v ", c)
	}
	fmt.Println("|")
}

// short3 shows a duration with about three digits.
func short3(d time.Duration) string {
	unit := time.Duration(1)
	for d/unit >= 1000 {
		unit *= 10
	}
	return d.Round(unit).String()
}

func ratio(value, base float64) string {
	if base == 0 {
		return "—"
	}
	return fmt.Sprintf("%.2f", value/base)
}

// everywhere calls f with a new place on each file system.
func everywhere(f func(p *place)) {
	for _, parent := range strings.Split(*dirs, ",") {
		p := newPlace(parent)
		f(p)
		p.remove()
	}
	fmt.Println()
}
