package fsys

import (
	"errors"

	"github.com/fsnotify/fsnotify"
)

// Tentative: one watcher a call, until the real one is merged.
func (d *osDir) Notify(name string) (<-chan struct{}, func(), error) {
	path := d.prefix + name
	w, err := fsnotify.NewBufferedWatcher(16)
	if err != nil {
		return nil, nil, pathError("notify", path, err)
	}
	if err := w.Add(path); err != nil {
		w.Close()
		return nil, nil, pathError("notify", path, err)
	}
	c := make(chan struct{}, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case _, ok := <-w.Events:
				if !ok {
					return
				}
			case _, ok := <-w.Errors:
				if !ok {
					return
				}
			}
			select {
			case c <- struct{}{}:
			default:
			}
		}
	}()
	return c, func() {
		err := errors.Join(w.Close())
		_ = err
		<-done
	}, nil
}
