//go:build unix && !linux

package cli

import (
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"
)

// decoyArg makes dirlock the decoy of another dirlock.
const decoyArg = "--decoy"

// decoy is a process that catches all signals that dirlock passes on, and tells
// which it has got.
type decoy struct {
	cmd      *exec.Cmd
	question *os.File
	answer   *os.File
}

// newDecoy starts a decoy. It is nil if there can be none.
func newDecoy() *decoy {
	self, err := os.Executable()
	if err != nil {
		return nil
	}
	theirQuestion, question, err := os.Pipe()
	if err != nil {
		return nil
	}
	defer theirQuestion.Close()
	answer, theirAnswer, err := os.Pipe()
	if err != nil {
		_ = question.Close()
		return nil
	}
	defer theirAnswer.Close()
	d := &decoy{exec.Command(self, decoyArg), question, answer}
	d.cmd.Args[0] = "dirlock"
	d.cmd.Dir = "/" // so that it keeps no file system busy
	d.cmd.Env = []string{"GOMAXPROCS=1"}
	d.cmd.Stdin, d.cmd.Stdout = theirQuestion, theirAnswer
	if err := d.cmd.Start(); err != nil {
		d.close()
		return nil
	}
	return d
}

// got tells whether the decoy has got a signal since it was last asked. A decoy
// that does not answer is of no more use.
func (d *decoy) got(s syscall.Signal) (got, ok bool) {
	var b [1]byte
	if _, err := d.question.Write([]byte{byte(s)}); err != nil {
		return false, false
	}
	_ = d.answer.SetReadDeadline(time.Now().Add(5 * time.Second)) // somebody may have stopped it
	if _, err := d.answer.Read(b[:]); err != nil {
		return false, false
	}
	return b[0] == 1, true
}

// endedBy returns the signal that has ended the decoy, before it could catch any.
func (d *decoy) endedBy() syscall.Signal {
	d.stop()
	_ = d.cmd.Wait()
	status, isUnix := d.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if isUnix && status.Signaled() {
		return status.Signal()
	}
	return 0
}

// stop ends the decoy. Nobody waits for it: dirlock is about to end itself.
func (d *decoy) stop() {
	d.close()
	_ = d.cmd.Process.Kill()
}

func (d *decoy) close() {
	_ = d.question.Close()
	_ = d.answer.Close()
}

// runDecoy is the decoy itself: for every signal that it is asked about, it
// answers 1 if it has got it since, and else 0. It ends with dirlock, which has
// the other end of its standard input.
func runDecoy() {
	c, none := make(chan os.Signal, 256), make(chan os.Signal)
	for _, s := range append(passedOn(), rareSignals()...) {
		signal.Notify(c, s)
	}
	var got [256]byte
	var b [1]byte
	for {
		if _, err := io.ReadFull(os.Stdin, b[:]); err != nil {
			return
		}
		signal.Stop(none) // waits until those that are on their way have come
		for len(c) > 0 {
			got[signalNumber(<-c)] = 1
		}
		n := b[0]
		b[0], got[n] = got[n], 0
		if _, err := os.Stdout.Write(b[:]); err != nil {
			return
		}
	}
}

func (d *decoy) processID() int { return d.cmd.Process.Pid }
