package proc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"strconv"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"
)

// maxPID: a process ID is a DWORD.
const maxPID = math.MaxUint32

//lint:ignore U1000 it is embedded: other systems have fields here
type osState struct{}

func newOSTable() *osTable { return &osTable{} }

// identify asks the kernel. Start is the creation time of GetProcessTimes, in
// 100 ns since 1601 as the clock showed it then; setting the clock does not
// change it later.
func (t *osTable) identify() Identity {
	start, _ := creationTime(windows.CurrentProcess())
	return Identity{Start: start, Boot: boot(), Namespace: namespace()}
}

// Where KUSER_SHARED_DATA (ntddk.h) is mapped in every process, and two of its
// fields: "the boot sequence number, incremented for each boot attempt by the
// OS loader", and the random number with which EncodeSystemPointer works, which
// is made once per boot.
const (
	userSharedData = 0x7ffe0000
	bootID         = 0x2c4
	cookie         = 0x330
)

// boot names the boot by those two: the machine's own boots differ in the first
// one, two machines in the second one. It is empty if there is no random number,
// as in Wine. (The boot time that Windows tells changes when the clock is set,
// and the identifier in its boot environment is that of an installation.)
func boot() string {
	read := func(offset uintptr) uint32 {
		var b [4]byte
		err := windows.ReadProcessMemory(windows.CurrentProcess(), userSharedData+offset, &b[0], 4, nil)
		if err != nil {
			return 0
		}
		return binary.LittleEndian.Uint32(b[:])
	}
	random := read(cookie)
	if random == 0 {
		return ""
	}
	return fmt.Sprintf("%d-%08x", read(bootID), random)
}

// namespace is empty inside of a Windows container, where a process sees only
// those in it. Its registry has a value that others have not.
func namespace() string {
	key, err := registry.OpenKey(registry.LOCAL_MACHINE, `SYSTEM\CurrentControlSet\Control`, registry.QUERY_VALUE)
	if err != nil {
		return ""
	}
	defer key.Close()
	if _, _, err := key.GetIntegerValue("ContainerType"); !errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	return "system"
}

// creationTime returns the start time of a process.
func creationTime(process windows.Handle) (string, error) {
	var created, exited, kernel, user windows.Filetime
	if err := windows.GetProcessTimes(process, &created, &exited, &kernel, &user); err != nil {
		return "", err
	}
	return strconv.FormatUint(uint64(created.HighDateTime)<<32|uint64(created.LowDateTime), 10), nil
}

var errNoProcess = errors.New(reasonNone)

// open opens a process with the right to wait for it and to ask for its times.
// It returns errNoProcess if none has the PID: OpenProcess says that the
// parameter is invalid, or opens another process, because it ignores the lowest
// two bits.
func open(pid int) (windows.Handle, error) {
	process, err := windows.OpenProcess(windows.SYNCHRONIZE|windows.PROCESS_QUERY_LIMITED_INFORMATION, false, uint32(pid))
	if err == windows.ERROR_INVALID_PARAMETER {
		return 0, errNoProcess
	}
	if err != nil {
		return 0, err
	}
	if got, err := windows.GetProcessId(process); err == nil && got != uint32(pid) {
		windows.CloseHandle(process)
		return 0, errNoProcess
	}
	return process, nil
}

// probe opens the process. A process that has ended can be opened as long as
// somebody has a handle to it; but it is signalled, once its last thread has
// ended.
func (t *osTable) probe(id Identity) (State, string) {
	process, err := open(id.PID)
	switch err {
	case nil:
	case errNoProcess:
		return Dead, reasonNone
	default: // ERROR_ACCESS_DENIED: there is one that we may not open
		return Unknown, reasonHidden
	}
	defer windows.CloseHandle(process)
	if event, err := windows.WaitForSingleObject(process, 0); err == nil && event == windows.WAIT_OBJECT_0 {
		return Dead, reasonEnded
	}
	start, err := creationTime(process)
	switch {
	case err != nil:
		return Unknown, reasonHidden
	case id.Start == "":
		return Unknown, reasonNoStart
	case id.Start != start:
		return Dead, reasonReused
	}
	return Alive, reasonRuns
}

// notify waits for the process, and for an event that stop sets, on a thread.
func (t *osTable) notify(id Identity) (<-chan struct{}, func(), error) {
	fail := func(call string, err error) (<-chan struct{}, func(), error) {
		return nil, nil, fmt.Errorf("proc: notify of process %d: %w", id.PID, os.NewSyscallError(call, err))
	}
	process, err := open(id.PID)
	if err == errNoProcess {
		return alreadyEnded()
	}
	if err != nil {
		return fail("OpenProcess", err)
	}
	// The handle is of the process that had the PID a moment ago. If that was
	// another one than was asked for, then that one is dead, and probe says so.
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
		// An error, too, means that it is time to look again.
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
