// Command torture tries to break the lock of a directory: processes take it and
// give it back as fast as they can, while one of them is killed with SIGKILL
// every few milliseconds and replaced: every other time one at random, else the
// owner of the moment. An oracle outside the lock, a
// piece of shared memory, sees to it that there is one owner at a time, or readers.
//
//	go run ./internal/testutil/torture -dir D -procs 8 -for 60s -kill-every 5ms
//
// With -held 20 it tortures lock.Held instead: see held.go.
//
// It ends with status 1 if anything was found. Linux only, but for -held.
package main

import (
	"flag"
	"fmt"
	"os"
	"time"
)

func main() {
	if isWorker() {
		worker()
		return
	}
	var c Config
	flag.StringVar(&c.Dir, "dir", "", "the directory, empty or missing (default: a temporary one)")
	flag.IntVar(&c.Procs, "procs", 8, "`number` of processes, at most 64")
	flag.DurationVar(&c.For, "for", 10*time.Second, "for how long, at most 10m")
	flag.DurationVar(&c.KillEvery, "kill-every", 5*time.Millisecond, "how often to kill a process, at least 1ms")
	flag.IntVar(&c.Readers, "readers", 0, "how many of a hundred acquisitions are `shared`")
	flag.BoolVar(&c.Broken, "broken", false, "use a process table that calls everybody dead, to see the oracle at work")
	flag.BoolVar(&c.Temps, "temps", false, "the file system has no unnamed files: the dead may leave temporary ones until the next recovery")
	holders := flag.Int("held", 0, "torture lock.Held instead, with that `number` of holders")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "torture: unexpected arguments")
		os.Exit(2)
	}
	if *holders > 0 {
		tortureHeld(HeldConfig{Holders: *holders, For: c.For, Loss: 2})
		return
	}
	r, err := Run(c)
	if err != nil {
		fmt.Fprintln(os.Stderr, "torture:", err)
		os.Exit(2)
	}
	fmt.Print(r)
	if !r.OK() {
		os.Exit(1)
	}
}

func tortureHeld(c HeldConfig) {
	dir, err := os.MkdirTemp("", "dirlock-torture-")
	if err == nil {
		defer os.RemoveAll(dir)
		var r *HeldReport
		if r, err = RunHeld(dir, c); r != nil {
			fmt.Print(r)
			if err == nil && len(r.Problems) > 0 {
				os.RemoveAll(dir)
				os.Exit(1)
			}
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "torture:", err)
		os.Exit(2)
	}
}
