package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/creack/pty"
)

// patience bounds how long the scenario waits for what it expects.
const patience = 20 * time.Second

// A terminal is a shell on a pseudo-terminal, of which everything is recorded.
type terminal struct {
	start time.Time
	file  *os.File
	shell *exec.Cmd

	mu     sync.Mutex
	events []event
	unseen strings.Builder // printed since the last thing that was expected
	more   chan struct{}   // something was printed
}

// event is what was printed at a time after the start.
type event struct {
	at   time.Duration
	text string
}

// cast is what a terminal of that height has shown.
type cast struct {
	rows   int
	events []event
}

func open(bin string, start time.Time, height int) (*terminal, error) {
	t := &terminal{start: start, more: make(chan struct{}, 1)}
	t.shell = exec.Command("bash", "--norc", "--noprofile", "-i")
	t.shell.Env = []string{
		"PATH=" + bin + ":/usr/local/bin:/usr/bin:/bin", "HOME=" + bin,
		"PS1=$ ", "TERM=xterm", "LC_ALL=C.UTF-8", "INPUTRC=/dev/null", "HISTFILE=",
	}
	var err error
	t.file, err = pty.StartWithSize(t.shell, &pty.Winsize{Rows: uint16(height), Cols: columns})
	if err != nil {
		return nil, err
	}
	go t.read()
	if _, err := t.file.WriteString("bind 'set enable-bracketed-paste off'; set +o monitor; set -o monitor; clear\r"); err != nil {
		return nil, err
	}
	if err := t.expect(`\x1b\[[23]?J[^$]*\$ $`); err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.events = []event{{0, "$ "}}
	return t, nil
}

func (t *terminal) close() {
	t.shell.Process.Kill()
	t.shell.Wait()
	t.file.Close()
}

func (t *terminal) read() {
	buf := make([]byte, 4096)
	for {
		n, err := t.file.Read(buf)
		if err != nil {
			return
		}
		t.mu.Lock()
		t.events = append(t.events, event{time.Since(t.start), string(buf[:n])})
		t.unseen.Write(buf[:n])
		t.mu.Unlock()
		select {
		case t.more <- struct{}{}:
		default:
		}
	}
}

// expect waits until the terminal shows something that it has not shown yet.
func (t *terminal) expect(pattern string) error {
	re := regexp.MustCompile(pattern)
	timeout := time.After(patience)
	for {
		t.mu.Lock()
		text := t.unseen.String()
		found := re.MatchString(text)
		if found {
			t.unseen.Reset()
		}
		t.mu.Unlock()
		if found {
			return nil
		}
		select {
		case <-t.more:
		case <-timeout:
			return fmt.Errorf("no %q in %q", pattern, text)
		}
	}
}

// do types like a person, and looks.
func (t *terminal) do(s step) error {
	if s.typed != "" {
		for _, r := range s.typed {
			time.Sleep(40 * time.Millisecond)
			if _, err := t.file.WriteString(string(r)); err != nil {
				return err
			}
		}
		time.Sleep(400 * time.Millisecond)
		if _, err := t.file.WriteString("\r"); err != nil {
			return err
		}
	}
	if s.until != "" {
		if err := t.expect(s.until); err != nil {
			return err
		}
	}
	time.Sleep(s.look)
	return nil
}

func (t *terminal) recorded() []event {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.events)
}

// encode writes a recording in the form of asciinema, version 2.
func (c cast) encode() []byte {
	out := fmt.Appendf(nil, `{"version": 2, "width": %d, "height": %d}`+"\n", columns, c.rows)
	for _, e := range c.events {
		text, err := json.Marshal(e.text)
		if err != nil {
			panic(err) // a string
		}
		out = fmt.Appendf(out, "[%.3f, \"o\", %s]\n", e.at.Seconds(), text)
	}
	return out
}
