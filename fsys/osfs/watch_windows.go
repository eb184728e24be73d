package osfs

import (
	"io/fs"

	"golang.org/x/sys/windows"
)

// Watch waits for a change of any name in the directory, which is all that
// this system can watch, and then looks whether the file is still the same
// (FindFirstChangeNotification, fileapi.h). Each call takes a thread.
//
// This is not done with package fsnotify: its backend for Windows (version
// 1.10) closes the handle of a watch that is removed a second time if an event
// was on its way, and by then it may be the handle of another file, a witness
// among others; and Add and Remove wait for ever for whoever receives events.
func (d *dir) Watch(name string) (changed <-chan struct{}, stop func(), err error) {
	path := d.prefix + name
	if !validName(name) {
		return nil, nil, pathError("watch", path, fs.ErrInvalid)
	}
	w := &dirWatch{path: path, changed: make(chan struct{}, 1), done: make(chan struct{})}
	if err := w.start(d.path); err != nil {
		return nil, nil, pathError("watch", path, err)
	}
	return w.changed, w.stop, nil
}

// dirWatch is one call of Watch.
type dirWatch struct {
	path    string
	file    watchedFile
	changed chan struct{} // of capacity 1: one "look again" stands for any number
	names   windows.Handle
	end     windows.Handle // an event
	done    chan struct{}
}

// watchedFile tells a file from the next one of its name. File systems without
// lasting indexes use one again, but not within the moment of a creation.
type watchedFile struct {
	index   fileID
	created windows.Filetime
}

func (w *dirWatch) start(dir string) (err error) {
	// Before the look at the file: what happens after that is not missed.
	w.names, err = windows.FindFirstChangeNotification(longPath(dir), false, windows.FILE_NOTIFY_CHANGE_FILE_NAME)
	if err != nil {
		return err
	}
	if w.file, err = watchedFileOf(w.path); err == nil {
		w.end, err = windows.CreateEvent(nil, 1, 0, nil)
	}
	if err != nil {
		windows.FindCloseChangeNotification(w.names)
		return err
	}
	go w.run()
	return nil
}

// stop returns when the handles are closed: one of a directory is in the way of
// its removal.
func (w *dirWatch) stop() {
	windows.SetEvent(w.end)
	<-w.done
}

func (w *dirWatch) run() {
	defer close(w.done)
	defer windows.CloseHandle(w.end)
	defer windows.FindCloseChangeNotification(w.names)
	for {
		which, err := windows.WaitForMultipleObjects([]windows.Handle{w.end, w.names}, false, windows.INFINITE)
		if err == nil && which == windows.WAIT_OBJECT_0 {
			return
		}
		if err == nil {
			err = windows.FindNextChangeNotification(w.names)
		}
		if now, lookErr := watchedFileOf(w.path); err != nil || lookErr != nil || now != w.file {
			select {
			case w.changed <- struct{}{}:
			default:
			}
		}
		if err != nil {
			// There will be no more events, as when the directory is gone.
			_, _ = windows.WaitForSingleObject(w.end, windows.INFINITE)
			return
		}
	}
}

func watchedFileOf(path string) (watchedFile, error) {
	h, err := openHandle(path, windows.FILE_READ_ATTRIBUTES, windows.OPEN_EXISTING)
	if err != nil {
		return watchedFile{}, err
	}
	defer windows.CloseHandle(h)
	info, err := regular(h)
	if err != nil {
		return watchedFile{}, err
	}
	return watchedFile{fileIndex(info), info.CreationTime}, nil
}
