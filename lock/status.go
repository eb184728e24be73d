package lock

import (
	"errors"
	"io/fs"

	"github.com/dirlock/dirlock/fsys"
	"github.com/dirlock/dirlock/proc"
)

// State is the answer of a directory to "is it held?", for a process that wants
// the lock.
type State uint8

const (
	// Free: nobody has the lock.
	Free State = iota
	// Held: somebody has it, or is taking it over, and is not known to be dead.
	Held
	// Stale: its owner is dead. The next TryLock takes it over.
	Stale
	// Unreadable: a level file that cannot be read or is unrecognized is in the
	// way. TryLock fails with an error that names it.
	Unreadable
	// Shared: some process holds the lock for reading, and is not known to be dead.
	// TryLock is refused, and TryRLock is not, unless a writer waits.
	Shared
)

// String returns "free", "held", "stale", "unreadable" or "shared".
func (s State) String() string {
	switch s {
	case Free:
		return "free"
	case Held:
		return "held"
	case Stale:
		return "stale"
	case Shared:
		return "shared"
	}
	return "unreadable"
}

// Status is what a directory says about its lock, at one moment.
type Status struct {
	// Dir is the path of the directory.
	Dir string
	// Name is the name of the lock, empty for the one without: see [WithName].
	Name string
	// Levels are the level files, L0 first. Most often there is none, or only
	// L0; more show that processes died while they recovered the lock. A file
	// above more than eight names in a row without a file is not among them: it
	// is in nobody's way.
	Levels []Level
	// Readers are those who hold the lock for reading, or have died while they did,
	// in no particular order. If there are any, there is no level 0. What else is in
	// the directory with their files is among them, with an Err. Waiting are the
	// writers that wait for the readers to leave, or have died while they did: they
	// keep new readers out. The N of either is 0.
	Readers, Waiting []Level
}

// Level is one level file.
type Level struct {
	// N is the level. The owner of level 0 owns the directory; those of higher
	// levels are recovering it, or died while they did.
	N int
	// Path is the full path of the file.
	Path string
	// Owner describes the process that made the file. It is the zero Owner if
	// the record is incomplete, or if Err is not nil.
	Owner Owner
	// State is what is known of the owner. If it is Unknown, the owner is treated
	// as alive.
	State proc.State
	// Reason says in words why State is what it is.
	Reason string
	// Err is not nil if the owner cannot be judged. It is a *RecordError, or
	// wraps what the system said when the file was read.
	Err error

	row  int    // of the truth table, that decided State; for tests
	in   string // as in look
	torn bool   // the record is incomplete
}

// BreakID returns what [DirLock.Break] takes for this owner: the ID of the owner,
// or the name of the level, such as L0, if its record is incomplete. It is empty if
// the file is unrecognized: that one has to be removed by hand.
func (l Level) BreakID() string { return breakID(l.Owner, l.torn && l.in == "", l.N) }

// owner names the owner to people.
func (l Level) owner() string {
	if l.torn {
		return "an owner whose record is incomplete"
	}
	return l.Owner.String()
}

// Owner returns the level of the owner of the directory, and whether there is
// one: dead or alive.
func (s Status) Owner() (Level, bool) {
	if len(s.Levels) > 0 && s.Levels[0].N == 0 {
		return s.Levels[0], true
	}
	return Level{}, false
}

// State returns what TryLock would find: whether the lock is free, held, stale
// or unreadable, and the level that decides it. If the lock is held, that is L0,
// with its owner, or a higher level, whose owner is recovering the lock. If it is
// stale, that is L0, with its dead owner; if it is unreadable, the file that
// cannot be judged; if it is shared, one of the readers; if it is free, the zero
// Level.
func (s Status) State() (State, Level) {
	if len(s.Readers) > 0 {
		return s.sharedState()
	}
	owner, ok := s.Owner()
	if !ok {
		return Free, Level{}
	}
	for i, level := range s.Levels {
		switch {
		case level.N != i: // a recovery gets in here
			return Stale, owner
		case level.Err != nil:
			return Unreadable, level
		case level.State != proc.Dead:
			return Held, level
		}
	}
	return Stale, owner
}

// InTheWay returns the levels that keep TryLock from the lock: those from L0 up to
// the first that is free, whose owners are not known to be dead. Most often there
// is one, or none. Where nobody can know whether they live, Break needs them all.
// If readers share the lock, it returns those that are not known to be dead.
func (s Status) InTheWay() (levels []Level) {
	for _, reader := range s.Readers {
		if reader.State != proc.Dead {
			levels = append(levels, reader)
		}
	}
	for i, level := range s.Levels {
		if level.N != i {
			break
		}
		if level.State != proc.Dead {
			levels = append(levels, level)
		}
	}
	return levels
}

// Status tells who holds the lock, without taking it. It finds the level files
// as TryLock does, by their names, and reads them one by one, so that the answer
// may mix what was true at different moments. It neither waits nor changes
// anything, and its cost does not depend on what else is in the directory. It
// fails as TryLock does, but what is wrong with a single level file is reported
// with that level. A handle that holds the lock looks at the directory that has the
// name now, too: it may be another one by then.
func (l *DirLock) Status() (Status, error) {
	v, err := l.enter()
	if err != nil {
		return Status{}, l.wrap("status", err)
	}
	defer v.leave()
	if err := v.exists(); err != nil {
		return Status{}, l.wrap("status", err)
	}
	s := Status{Dir: l.path, Name: l.name}
	for n, gap := 0, 0; gap < l.maxGap && n < maxLevels; n++ {
		r, err := v.look(n)
		if err == nil && r.gone {
			gap++
			continue
		}
		if errors.Is(err, fsys.ErrUnavailable) {
			return Status{}, l.wrap("status", err) // that is not about the file
		}
		gap = 0
		if r.shared {
			if s.Readers, err = v.listed(readersName); err != nil {
				return Status{}, l.wrap("status", err)
			}
			continue
		}
		s.Levels = append(s.Levels, v.level(r, err))
		if r.leased() {
			break // such a store needs no other level
		}
	}
	if s.Waiting, err = v.listed(claimsName); err != nil {
		return Status{}, l.wrap("status", err)
	}
	return s, nil
}

// level is what Status says of a file that was looked at.
func (v *visit) level(r look, err error) Level {
	level := Level{N: r.level, Path: v.pathOf(r), Owner: r.owner, State: r.state, Reason: r.why, Err: err, row: r.row, in: r.in, torn: r.torn}
	if err != nil {
		level.State, level.Reason = proc.Unknown, err.Error()
	}
	if err == nil && r.row == 1 && v.workGoesOn(r.owner, r.Witness) {
		level.Reason = reasonWorkGoesOn
	}
	return level
}

// exists returns an error if there is no such directory. Where a directory can
// be opened, that has been seen already; elsewhere a listing shows it.
func (v *visit) exists() error {
	d := v.named
	if p, ok := d.(prefixed); ok {
		d = p.Dir
	}
	if _, opened := d.(fsys.Opener); opened {
		return nil
	}
	_, err := v.dir.List(levelPrefix)
	if errors.Is(err, fs.ErrPermission) {
		return nil
	}
	return err
}
