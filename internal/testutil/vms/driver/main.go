// Command driver is what the guests of the lab run: an oracle that knows who owns a
// directory, workers that lock and unlock it and are killed, and single steps.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/dirlock/dirlock/lock"
)

const usage = `driver oracle ADDRESS                      answers the others
driver ask ADDRESS WORDS…                  asks it
driver torture DIR ADDRESS FOR PROCS EVERY kills workers, and says how it went
driver hold DIR                            holds the lock until SIGTERM
driver wait DIR                            waits for the lock, and releases it
driver try DIR                             TryLock and Unlock
driver crash DIR OTHER                     locks and unlocks until the power goes`

func main() {
	args := os.Args[1:]
	arg := func(n int) string {
		if n >= len(args) {
			fail(errors.New(usage))
		}
		return args[n]
	}
	switch arg(0) {
	case "oracle":
		fail(serveOracle(arg(1)))
	case "ask":
		fmt.Println(dial(arg(1)).ask(strings.Join(args[2:], " ")))
	case "worker":
		worker(arg(1), arg(2), arg(3))
	case "torture":
		torture(arg(1), arg(2), duration(arg(3)), number(arg(4)), duration(arg(5)))
	case "hold":
		hold(arg(1))
	case "wait":
		waitFor(arg(1))
	case "try":
		try(arg(1))
	case "loop":
		loop(arg(1))
	case "crash":
		crash(arg(1), arg(2))
	default:
		fail(errors.New(usage))
	}
}

func newLock(dir string) *lock.DirLock {
	return lock.New(dir, lock.WithMachine(os.Getenv("DIRLOCK_MACHINE")))
}

func fail(err error) {
	if err != nil {
		fmt.Println("driver:", err)
		os.Exit(1)
	}
}

func duration(s string) time.Duration {
	d, err := time.ParseDuration(s)
	fail(err)
	return d
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	fail(err)
	return n
}

// hold says what happens to a lock that it holds.
func hold(dir string) {
	l := newLock(dir)
	start := time.Now()
	if err := l.LockNow(); err != nil {
		fmt.Println("no:", err)
		os.Exit(1)
	}
	o, _ := l.Owner()
	fmt.Printf("held %s after %.1f ms\n", o.ID, ms(start))
	release := make(chan os.Signal, 1)
	signal.Notify(release, syscall.SIGTERM)
	lost := l.Lost()
	said := ""
	for {
		select {
		case <-release:
			start := time.Now()
			fmt.Printf("unlock: %v\n", l.Unlock())
			fmt.Printf("after %.1f ms\n", ms(start))
			return
		case <-lost:
			fmt.Println("lost")
			lost = nil
		case <-time.After(100 * time.Millisecond):
			if now := fmt.Sprint(l.Check()); now != said {
				fmt.Println("check:", now)
				said = now
			}
		}
	}
}

// waitFor waits at most a minute.
func waitFor(dir string) {
	l := newLock(dir)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	start := time.Now()
	fail(l.LockContext(ctx))
	fmt.Printf("got it after %.1f ms\n", ms(start))
	fail(l.Unlock())
}

// try says how long TryLock took, and ends with status 1 if somebody has the lock.
func try(dir string) {
	l := newLock(dir)
	start := time.Now()
	ok, err := l.TryLock()
	fmt.Printf("try %v %.1f ms", ok, ms(start))
	if err != nil {
		fmt.Print(": ", err)
	}
	fmt.Println()
	if !ok {
		os.Exit(1)
	}
	fail(l.Unlock())
}

func ms(start time.Time) float64 { return float64(time.Since(start).Microseconds()) / 1000 }
