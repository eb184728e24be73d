package lock

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/dirlock/dirlock/fsys"
)

// self is what all records of a handle say of its owner.
type self struct {
	identity   Owner // what they are made of
	written    Owner // what they say
	head, tail []byte
	size       int // of a record
}

// ready is what was made ready for the next level file of ours, while there was
// time. It may be empty.
type ready struct {
	id   string
	file fsys.Prepared
}

// newRecord identifies this acquisition, unlike any other, and returns its
// record.
func (l *DirLock) newRecord(dir fsys.Dir) (Owner, []byte, error) {
	if err := l.identify(dir); err != nil {
		return Owner{}, nil, err
	}
	id, err := l.ready.id, error(nil)
	if l.ready.id = ""; id == "" {
		id, err = l.newID()
	}
	if err != nil {
		return Owner{}, nil, err
	}
	o := l.self.written
	o.ID = id
	o.Since = recordTime(l.now())
	return o, appendRecordParts(make([]byte, 0, l.self.size), l.self.head, l.self.tail, o), nil
}

// identify finds out who we are in a directory, for newRecord.
func (l *DirLock) identify(dir fsys.Dir) error {
	id, err := l.table.Self()
	if err != nil {
		return err
	}
	if id.PID <= 0 {
		return fmt.Errorf("own process ID is %d", id.PID)
	}
	if l.command != "" {
		id.Command = l.command
	}
	o := Owner{Identity: id, User: l.user(), Label: l.label, Machine: l.machine}
	witness, err := fsys.Witnesses(dir)
	if err != nil {
		return err
	}
	loc, err := fsys.Locate(dir)
	if err != nil {
		return err
	}
	if witness == fsys.Leased {
		witness = fsys.NoWitness // the store says it of the file, whatever the record says
	}
	o.Witness, o.WriteLock = witness != fsys.NoWitness, witness == fsys.Held
	o.Local, o.Mount, o.Type, o.Direct = loc.Local, loc.Mount, loc.Type, loc.Direct
	if l.self.identity == o {
		return nil
	}
	// Nobody could ever judge a record that cannot be read. What it says is what
	// we are from now on: without the parts that do not fit in.
	s := self{identity: o}
	o.ID, o.Since = strings.Repeat("0", idLen), l.now()
	record := appendRecord(nil, o)
	if s.written, err = parseRecord(record); err != nil {
		return fmt.Errorf("own record: %w", err)
	}
	s.size = len(record)
	s.head, s.tail = fixedLines(o)
	l.self = s
	return nil
}

// newID returns an ID that no other acquisition has.
func (l *DirLock) newID() (string, error) {
	var id [idLen / 2]byte
	if _, err := io.ReadFull(l.rand, id[:]); err != nil {
		return "", fmt.Errorf("random owner ID: %w", err)
	}
	return hex.EncodeToString(id[:]), nil
}

// jitter returns a random duration from d/2 to d.
func (l *DirLock) jitter(d time.Duration) time.Duration { return d/2 + l.random(d/2) }

// random returns a random duration from 0 to d.
func (l *DirLock) random(d time.Duration) time.Duration {
	var b [8]byte
	_, _ = io.ReadFull(l.rand, b[:])
	return time.Duration(binary.LittleEndian.Uint64(b[:]) % (uint64(d) + 1))
}
