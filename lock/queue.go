package lock

import (
	"context"
	"reflect"
	"sync"

	"github.com/dirlock/dirlock/fsys"
)

// queues has a queue for every directory that goroutines of this process wait
// for, so that only the first of them costs watches and file traffic.
var queues struct {
	sync.Mutex
	of map[queueKey]*queue
}

type queueKey struct {
	fsys fsys.FS
	path string
	name string
	read bool
}

type queue struct {
	turn  chan struct{} // has room for the one whose turn it is
	users int           // who is in line or has the turn
}

// waitTurn waits until it is our turn among the waiters of this process. The
// caller calls leave when it waits no more.
func (l *DirLock) waitTurn(ctx context.Context, shared bool) (leave func(), err error) {
	if l.named == nil || shared && l.within || !reflect.ValueOf(l.fsys).Comparable() {
		return func() {}, nil
	}
	key := queueKey{l.fsys, l.path, l.name, shared}

	queues.Lock()
	q := queues.of[key]
	if q == nil {
		if queues.of == nil {
			queues.of = make(map[queueKey]*queue)
		}
		q = &queue{turn: make(chan struct{}, 1)}
		queues.of[key] = q
	}
	q.users++
	queues.Unlock()

	forget := func() {
		queues.Lock()
		defer queues.Unlock()
		if q.users--; q.users == 0 {
			delete(queues.of, key)
		}
	}
	select {
	case q.turn <- struct{}{}:
		return func() { <-q.turn; forget() }, nil
	case <-ctx.Done():
		forget()
		return nil, ctx.Err()
	}
}
