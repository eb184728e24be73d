package proc

import (
	"os"

	"golang.org/x/sys/windows"
)

// notify waits in a goroutine with a thread of its own for the process, and for an
// event that stop sets.
func (t *osTable) notify(id Identity) (<-chan struct{}, func(), error) {
	fail := func(call string, err error) (<-chan struct{}, func(), error) {
		return nil, nil, notifyError(id.PID, os.NewSyscallError(call, err))
	}
	process, err := open(id.PID)
	if err == errNoProcess {
		return alreadyEnded()
	}
	if err != nil {
		return fail("OpenProcess", err)
	}
	// The handle is for the process that had the PID a moment ago. If that was
	// not the one asked about, then the one asked about is dead, and probe says
	// so.
	if state, _ := t.probe(id); state == Dead {
		windows.CloseHandle(process)
		return alreadyEnded()
	}
	cancel, err := windows.CreateEvent(nil, 1, 0, nil)
	if err != nil {
		windows.CloseHandle(process)
		return fail("CreateEvent", err)
	}
	c := make(chan struct{}, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		event, err := windows.WaitForMultipleObjects([]windows.Handle{process, cancel}, false, windows.INFINITE)
		// An error, too, means that it is time to look at the process.
		if err != nil || event == windows.WAIT_OBJECT_0 {
			c <- struct{}{}
		}
	}()
	return c, func() {
		windows.SetEvent(cancel)
		<-done
		windows.CloseHandle(cancel)
		windows.CloseHandle(process)
	}, nil
}
