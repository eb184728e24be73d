package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dirlock/dirlock/lock"
)

// worker takes the lock and gives it back, until it is killed. It prints a word
// for each thing that it did.
func worker(dir, address, id string) {
	o := dial(address)
	l := lock.New(dir)
	for {
		ok, err := acquire(l)
		switch {
		case err != nil:
			fmt.Println("error", err)
			continue
		case !ok:
			fmt.Println("refused")
			time.Sleep(rand.N(3 * time.Millisecond))
			continue
		}
		if a := o.ask("enter " + id); a != "ok" {
			fmt.Println("wrong", a)
		}
		time.Sleep(rand.N(40 * time.Millisecond))
		if err := l.Check(); err != nil {
			fmt.Println("error", err)
		}
		if a := o.ask("leave " + id); a != "ok" {
			fmt.Println("wrong", a)
		}
		if err := l.Unlock(); err != nil {
			fmt.Println("error", err)
		}
		fmt.Println("done")
	}
}

// acquire tries once or waits.
func acquire(l *lock.DirLock) (bool, error) {
	if rand.N(2) == 0 {
		return l.TryLock()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	err := l.LockContext(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		return false, nil
	}
	return err == nil, err
}

// tally is what workers have printed.
type tally struct {
	sync.Mutex
	n map[string]int
}

func (t *tally) read(id string, out io.Reader) {
	for sc := bufio.NewScanner(out); sc.Scan(); {
		word, rest, _ := strings.Cut(sc.Text(), " ")
		t.Lock()
		t.n[word]++
		show := rest != "" && t.n[word] <= 20
		t.Unlock()
		if show {
			fmt.Println(id, word, rest)
		}
	}
}

// started is a worker that runs.
type started struct {
	id    string
	cmd   *exec.Cmd
	ended chan struct{}
}

// torture keeps some workers running, and kills one now and then: mostly the one
// that is inside, if it is ours. DRIVERS are commands of other drivers, separated by
// semicolons, that are the workers in turn.
func torture(dir, address string, d time.Duration, procs int, every time.Duration) {
	host, err := os.Hostname()
	fail(err)
	o := dial(address)
	t := &tally{n: map[string]int{}}
	programs := []string{os.Args[0]}
	if s := os.Getenv("DRIVERS"); s != "" {
		programs = strings.Split(s, ";")
	}
	number := 0
	start := func() *started {
		number++
		w := &started{id: fmt.Sprintf("%s/%d", host, number), ended: make(chan struct{})}
		program := strings.Fields(programs[number%len(programs)])
		w.cmd = exec.Command(program[0], append(program[1:], "worker", dir, address, w.id)...)
		out, err := w.cmd.StdoutPipe()
		fail(err)
		w.cmd.Stderr = os.Stderr
		fail(w.cmd.Start())
		go func() {
			defer close(w.ended)
			t.read(w.id, out)
			if err := w.cmd.Wait(); err != nil && w.cmd.ProcessState.Exited() {
				fmt.Println(w.id, "wrong", "has ended:", err)
				dial(address).ask("dead " + w.id)
			}
		}()
		return w
	}
	kill := func(w *started) {
		o.ask("doom " + w.id)
		_ = w.cmd.Process.Kill()
		<-w.ended
		o.ask("dead " + w.id)
	}
	workers := make([]*started, procs)
	for i := range workers {
		workers[i] = start()
	}
	kills := 0
	for end := time.Now().Add(d); time.Now().Before(end); kills++ {
		// Emulated machines can be slow: somebody must get as far as to acquire it.
		before := o.ask("count")
		for patience := 10; patience > 0 && o.ask("count") == before && time.Now().Before(end); patience-- {
			time.Sleep(every)
		}
		time.Sleep(rand.N(every))
		i := rand.IntN(procs)
		if rand.N(3) > 0 {
			in := o.ask("inside")
			if k := slices.IndexFunc(workers, func(w *started) bool { return w.id == in }); k >= 0 {
				i = k
			}
		}
		kill(workers[i])
		workers[i] = start()
	}
	for _, w := range workers {
		kill(w)
	}
	fmt.Printf("kills=%d;", kills+procs)
	for _, k := range slices.Sorted(maps.Keys(t.n)) {
		fmt.Printf("%s=%d;", k, t.n[k])
	}
	fmt.Println()
}
