package cli

import (
	"sync"
	"time"
)

// A standard error may take nothing: a full pipe, a terminal after Ctrl-S. That
// must not make dirlock deaf to signals, and must not keep it from starting its
// command. So a goroutine writes, and nobody waits for it for longer than this.
const patience = 100 * time.Millisecond

// lineWriter writes texts in order.
type lineWriter struct {
	mu    sync.Mutex
	queue []string      // what is not yet written
	empty chan struct{} // closed when the queue is empty
}

var stderr = &lineWriter{}

// write returns when text is written, or soon after if that takes long.
func (w *lineWriter) write(text string) {
	w.mu.Lock()
	blocked := len(w.queue) > 0
	w.queue = append(w.queue, text)
	if !blocked {
		w.empty = make(chan struct{})
		go w.drain()
	}
	empty := w.empty
	w.mu.Unlock()
	if blocked {
		return
	}
	select {
	case <-empty:
	case <-time.After(patience):
	}
}

func (w *lineWriter) drain() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.queue) > 0 {
		text := w.queue[0]
		w.mu.Unlock()
		writeStderr(text)
		w.mu.Lock()
		w.queue = w.queue[1:]
	}
	close(w.empty)
}

// busy tells whether something is still to be written.
func (w *lineWriter) busy() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.queue) > 0
}

// flush returns when everything is written, or after a second: who waits for
// dirlock to end needs its exit status.
func (w *lineWriter) flush() {
	w.mu.Lock()
	done, empty := len(w.queue) == 0, w.empty
	w.mu.Unlock()
	if done {
		return
	}
	select {
	case <-empty:
	case <-time.After(10 * patience):
	}
}
