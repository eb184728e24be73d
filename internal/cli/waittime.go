package cli

import (
	"errors"
	"strconv"
	"time"
)

// waitTime is the value of --wait.
type waitTime struct {
	d   time.Duration
	set bool
}

// Set takes seconds, with or without a fraction, or a duration in Go's form.
func (w *waitTime) Set(s string) error {
	seconds, err := strconv.ParseFloat(s, 64)
	d := time.Duration(seconds * float64(time.Second))
	if err != nil {
		d, err = time.ParseDuration(s)
	}
	if err != nil || !(seconds < 1e9) || d < 0 {
		return errors.New("a duration like 2.5 (seconds) or 1m30s")
	}
	w.d, w.set = d, true
	return nil
}

func (w *waitTime) String() string {
	if !w.set {
		return ""
	}
	return w.d.String()
}

func (w *waitTime) Type() string { return "duration" }
