package cli

import "errors"

// linger says when the lock is held for processes that the command has left
// behind. It is the value of --linger.
type linger string

const (
	lingerAuto   linger = "auto" // when a signal ended the command, or came while it ran
	lingerAlways linger = "always"
	lingerNever  linger = "never"
)

func (l *linger) Set(s string) error {
	switch linger(s) {
	case lingerAuto, lingerAlways, lingerNever:
		*l = linger(s)
		return nil
	}
	return errors.New("auto, always or never")
}

func (l *linger) String() string { return string(*l) }

func (*linger) Type() string { return "WHEN" }

// onLost says what is done when the lock is lost. It is the value of --on-lost.
type onLost string

const (
	lostTerm   onLost = "term"
	lostKill   onLost = "kill"
	lostIgnore onLost = "ignore"
)

func (o *onLost) Set(s string) error {
	switch onLost(s) {
	case lostTerm, lostKill, lostIgnore:
		*o = onLost(s)
		return nil
	}
	return errors.New("term, kill or ignore")
}

func (o *onLost) String() string { return string(*o) }

func (*onLost) Type() string { return "WHAT" }
