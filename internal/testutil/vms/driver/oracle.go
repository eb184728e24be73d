package main

import (
	"bufio"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// The oracle is a process on the server's own disk, outside of the lock. Workers
// tell it that they have acquired the lock, and that they are about to release
// it; whoever kills one says so before ("doom") and after ("dead"). It answers
// each line with one. A worker is called MACHINE/NUMBER.
//
//   - enter W: W has acquired the lock. If another one is inside that nobody is
//     killing, there are two owners. If somebody is just being killed, nobody can
//     tell yet: the answer comes when it is dead or has left.
//   - leave W: W is about to unlock.
//
// What a worker does between the moment in which it is doomed and its death
// counts neither way.
type oracle struct {
	mu     sync.Mutex
	change sync.Cond
	inside string
	last   time.Time // of any acquisition
	gap    time.Duration
	count  int             // of acquisitions
	doomed map[string]bool // being killed
	dead   map[string]bool
	n      map[string]int
}

func newOracle() *oracle {
	o := &oracle{doomed: map[string]bool{}, dead: map[string]bool{}, n: map[string]int{}, last: time.Now()}
	o.change.L = &o.mu
	return o
}

func serveOracle(address string) error {
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	o := newOracle()
	for {
		c, err := ln.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer func() { _ = c.Close() }()
			for sc := bufio.NewScanner(c); sc.Scan(); {
				verb, who, _ := strings.Cut(sc.Text(), " ")
				_, _ = fmt.Fprintln(c, o.answer(verb, who))
			}
		}()
	}
}

func (o *oracle) answer(verb, who string) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch verb {
	case "enter":
		return o.enter(who)
	case "leave":
		return o.leave(who)
	case "doom":
		o.doomed[who] = true
	case "dead":
		o.doomed[who], o.dead[who] = true, true
		o.change.Broadcast()
	case "inside":
		return o.inside
	case "count":
		return fmt.Sprint(o.count)
	case "stat":
		o.noteGap()
		return o.stat()
	}
	return "ok"
}

func (o *oracle) enter(who string) string {
	before := o.inside
	for o.inside != "" && o.doomed[o.inside] && !o.dead[o.inside] {
		o.change.Wait()
	}
	if o.doomed[who] {
		return "ok" // It came too late: perhaps somebody else has the lock by now.
	}
	o.noteGap()
	machine := machineOf(who)
	o.count++
	o.n["acquired by "+machine]++
	if before != "" && o.dead[before] {
		o.n["recovered"]++
		if machineOf(before) != machine {
			o.n["recovered from another machine"]++
		}
	}
	if o.inside != "" && !o.dead[o.inside] {
		o.n["violations"]++
		fmt.Println("two owners:", o.inside, who)
		return "two owners: " + o.inside + " is inside"
	}
	o.inside = who
	return "ok"
}

func (o *oracle) leave(who string) string {
	if o.inside != who && !o.doomed[who] {
		o.n["violations"]++
		fmt.Println("two owners:", who, "leaves, and inside is", o.inside)
		return "two owners: inside is " + o.inside
	}
	if o.inside == who {
		o.inside = ""
		o.change.Broadcast()
	}
	return "ok"
}

func (o *oracle) noteGap() {
	now := time.Now()
	o.gap = max(o.gap, now.Sub(o.last))
	o.last = now
}

// stat is read by the lab: words and numbers.
func (o *oracle) stat() string {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(o.n)) {
		fmt.Fprintf(&b, "%s=%d;", k, o.n[k])
	}
	fmt.Fprintf(&b, "longest gap ms=%d;", o.gap.Milliseconds())
	return b.String()
}

func machineOf(who string) string {
	machine, _, _ := strings.Cut(who, "/")
	return machine
}

// client is a connection to the oracle.
type client struct {
	conn net.Conn
	sc   *bufio.Scanner
}

// dial waits for the oracle, which another machine starts at the same time.
func dial(address string) *client {
	var c net.Conn
	var err error
	for range 100 {
		if c, err = net.Dial("tcp", address); !errors.Is(err, syscall.ECONNREFUSED) {
			break
		}
		time.Sleep(200 * time.Millisecond)
	}
	fail(err)
	return &client{c, bufio.NewScanner(c)}
}

func (c *client) ask(line string) string {
	_, err := fmt.Fprintln(c.conn, line)
	fail(err)
	if !c.sc.Scan() {
		fail(errors.Join(errors.New("the oracle is gone"), c.sc.Err()))
	}
	return c.sc.Text()
}
