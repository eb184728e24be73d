package proc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"strconv"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"

	"github.com/dirlock/dirlock/proc/internal/reason"
)

// maxPID: a process ID is a DWORD.
const maxPID = math.MaxUint32

//lint:ignore U1000 it is embedded: other systems have fields here
type osState struct{}

func newOSTable() *osTable { return &osTable{} }

// identify asks the kernel. Start is the creation time of GetProcessTimes: 100 ns
// units since 1601, by the clock of that moment. It does not change when the
// clock is set later, and is fine enough to do without a Unique.
func (t *osTable) identify() Identity {
	start, _ := creationTime(windows.CurrentProcess())
	return Identity{Start: start, Boot: boot(), Namespace: namespace()}
}

// The address of KUSER_SHARED_DATA (ntddk.h) in every process, and the offsets of
// two of its fields: "the boot sequence number, incremented for each boot attempt
// by the OS loader", and the random number that EncodeSystemPointer uses, which
// is made at each boot.
const (
	userSharedData = 0x7ffe0000
	bootID         = 0x2c4
	cookie         = 0x330
)

// boot names the boot by both fields: the first differs between the boots of one
// machine, the second between machines. It is empty if there is no random number,
// as in Wine. (The boot time that Windows tells changes when the clock is set, and
// the identifier in its boot environment names an installation.)
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

// namespace is empty inside a Windows container, where a process sees only the
// processes of that container. Only the registry of a container has this value.
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

var errNoProcess = errors.New(reason.None)

// open opens a process with the rights to wait for it and to ask for its times.
// It returns errNoProcess if no process has the PID. OpenProcess then says that
// the parameter is invalid, or opens another process, because it ignores the two
// lowest bits.
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

// probe opens the process. One that has ended can be opened as long as anyone has
// a handle to it, but it is signalled once its last thread has ended.
func (t *osTable) probe(id Identity) (State, string) {
	process, err := open(id.PID)
	switch err {
	case nil:
	case errNoProcess:
		return Dead, reason.None
	default: // ERROR_ACCESS_DENIED: it exists, but we may not open it
		return Unknown, reason.Hidden
	}
	defer windows.CloseHandle(process)
	if event, err := windows.WaitForSingleObject(process, 0); err == nil && event == windows.WAIT_OBJECT_0 {
		return Dead, reason.Ended
	}
	start, err := creationTime(process)
	switch {
	case err != nil:
		return Unknown, reason.Hidden
	case id.Start == "":
		return Unknown, reason.NoStart
	case id.Start != start:
		return Dead, reason.Reused
	}
	return Alive, reason.Runs
}
