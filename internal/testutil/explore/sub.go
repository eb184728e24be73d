package explore

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/dirlock/dirlock/fsys"
)

// Directories in the directory: that of the readers, which has the name of level
// 0, and that of the claims. This file is what a program sees of them.

// Which directory it is.
const (
	subReaders = 0
	subClaims  = 1
	subGone    = 2 // of one that is open: it was removed

	readersName = "L0"
	claimsName  = "LW"
)

const (
	maxSubs = 4 // that a thread has open at once

	levelSub  = 20 // + which one: the level of files in them
	ownName   = -1 // stands for the name of a file in one of them
	inBinding = 32 // + k: what a thread watches, if it is the file of binding k
	newInList = 31 // in a listing: a file that the thread does not know
	maxInList = 5
)

func subNumber(name string) int8 {
	switch name {
	case readersName:
		return subReaders
	case claimsName:
		return subClaims
	}
	panic("explore: there is no place for a directory of the name " + name)
}

// MakeDir implements [fsys.Nester].
func (d procDir) MakeDir(name string) error {
	if !d.p.rules.Shares {
		return errors.ErrUnsupported
	}
	return d.p.do(call{kind: opMkdir, name: name}).err
}

// RemoveDir implements [fsys.Nester].
func (d procDir) RemoveDir(name string) error {
	if !d.p.rules.Shares {
		return errors.ErrUnsupported
	}
	return d.p.do(call{kind: opRmdir, name: name}).err
}

// OpenDir implements [fsys.Nester].
func (d procDir) OpenDir(name string) (fsys.Subdir, error) {
	if !d.p.rules.Shares {
		return nil, errors.ErrUnsupported
	}
	a := d.p.do(call{kind: opOpenSub, name: name})
	if a.err != nil {
		return nil, a.err
	}
	a.sub.p = d.p
	return a.sub, nil
}

// procSub is a directory that a program has open. To close it is no step.
type procSub struct {
	p      *Proc
	name   string
	slot   int8
	closed bool
	real   fsys.Subdir // in a live run
}

func (s *procSub) Path() string { return dirPath + "/" + s.name }

func (s *procSub) do(c call) *answer {
	if s.closed {
		panic("explore: the code uses a directory that it has closed")
	}
	c.sub, c.name = s, s.name
	return s.p.do(c)
}

func (s *procSub) Create(name string, data []byte) (fsys.File, error) {
	a := s.do(call{kind: opCreateSub, name2: name, data: data})
	if a.err != nil {
		return nil, a.err
	}
	a.file.p = s.p
	return a.file, nil
}

func (s *procSub) Read(name string) (fsys.Snapshot, error) {
	a := s.do(call{kind: opReadSub, name2: name})
	return a.snap, a.err
}

func (s *procSub) Replace(string, string) error { return errors.ErrUnsupported }

func (s *procSub) Remove(name string) error { return s.do(call{kind: opRemoveSub, name2: name}).err }

func (s *procSub) List(string) ([]string, error) {
	a := s.do(call{kind: opListSub})
	return a.names, a.err
}

// Watch implements [fsys.Watcher].
func (s *procSub) Watch(name string) (<-chan struct{}, func(), error) {
	if !s.p.rules.Events {
		return nil, nil, errors.ErrUnsupported
	}
	if a := s.do(call{kind: opNotifySub, name2: name}); a.err != nil {
		return nil, nil, a.err
	}
	return make(chan struct{}), func() {}, nil
}

// Named is true in all searches: nobody gives the name to another directory while
// there is a file of the asking process in this one.
func (s *procSub) Named() (bool, error) { return true, nil }

func (s *procSub) Close() error {
	s.closed = true
	if s.real != nil {
		return s.real.Close()
	}
	return nil
}

// openSubs returns the directories that the program has open, as bits.
func (s *solo) openSubs() (open uint8) {
	for i, sub := range s.subs {
		if sub != nil && !sub.closed {
			open |= 1 << i
		}
	}
	return open
}

// closeSubs forgets those that are closed.
func (s *solo) closeSubs() {
	for i, sub := range s.subs {
		if sub != nil && sub.closed {
			s.subs[i] = nil
		}
	}
}

func (s *solo) freeSlot() int8 {
	for i := range int8(maxSubs) {
		if int(i) == len(s.subs) {
			s.subs = append(s.subs, nil)
		}
		if s.subs[i] == nil || s.subs[i].closed {
			return i
		}
	}
	panic("explore: too many directories are open")
}

// nonce is that of the record of binding k.
func (s *solo) nonce(k int) [16]byte {
	return [16]byte{0xb0 | s.salt, byte(s.segment), byte(s.segment >> 8), byte(k)}
}

func idOf(nonce [16]byte) string { return fmt.Sprintf("%x", nonce[:]) }

// symbolSub is symbol for operations on directories.
func (s *solo) symbolSub(c *call) op {
	o := op{kind: c.kind}
	switch c.kind {
	case opMkdir, opRmdir:
		o.a = subNumber(c.name)
		return o
	case opOpenSub:
		o.a, o.b = subNumber(c.name), s.freeSlot()
		return o
	}
	o.a = c.sub.slot
	switch c.kind {
	case opListSub:
	case opCreateSub:
		if c.name2 != idOf(s.p.nonce) {
			panic("explore: what is created does not have the name of its record")
		}
		at := call{kind: opCreate, name: readersName, data: c.data}
		o.b = s.symbol(&at).b
	default:
		o.b = int8(slices.IndexFunc(s.b, func(b known) bool { return b.name == c.name2 }))
		if o.b < 0 {
			panic("explore: the code knows the name of a file that it has not seen")
		}
	}
	return o
}

// intactName is what Intact is asked for of binding k.
func (s *solo) intactName(k int8, name string) int8 {
	if s.b[k].name != "" {
		if s.b[k].name != name {
			panic("explore: a file in a directory is looked for by another name")
		}
		return ownName
	}
	return level(name)
}

// answerSub is answer for operations on directories, and tells whether this is
// one that it has to answer.
func (s *solo) answerSub(c *call, r result) bool {
	a := &s.p.a
	k := r.kind()
	injected := k == resErr || k == resErrDone
	switch {
	case c.kind == opRead && k == resNo:
		a.err = pathError(c, fsys.ErrDirectory)
		return true
	case injected:
		return false
	}
	switch c.kind {
	case opOpenSub, opRmdir:
		switch k {
		case resNo:
			a.err = pathError(c, fsys.ErrNotDirectory)
		case resExist:
			a.err = pathError(c, fsys.ErrNotEmpty)
		case resGone:
			a.err = pathError(c, fs.ErrNotExist)
		default:
			if c.kind == opOpenSub {
				slot := s.freeSlot()
				a.sub = &procSub{name: c.name, slot: slot}
				s.subs[slot] = a.sub
			}
		}
		return true
	}
	if k == resGone || k == resExist {
		return false
	}
	switch c.kind {
	case opListSub:
		for i := range int(r >> 4 & 7) {
			e := int(r >> (7 + 5*i) & 31)
			if e == newInList {
				e = len(s.b)
				s.b = append(s.b, known{uid: s.fileID(), unread: true, nonce: s.nonce(e), name: idOf(s.nonce(e))})
			}
			a.names = append(a.names, s.b[e].name)
		}
	case opCreateSub:
		a.file = &procFile{}
		s.b = append(s.b, known{file: a.file, data: c.data, id: s.p.self, own: true, uid: s.fileID(), name: c.name2})
	case opReadSub:
		i := slices.IndexFunc(s.b, func(b known) bool { return b.name == c.name2 })
		if s.b[i].unread {
			s.unread = i
		}
		a.snap = s.read(r)
		s.unread = none
	default:
		return false
	}
	return true
}
