package lock_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dirlock/dirlock/lock"
	"github.com/dirlock/dirlock/proc"
)

var someOwner = lock.Owner{
	ID: "0b7fd5f3a0f14d5b8f3d4c1e2a697b10",
	Identity: proc.Identity{
		PID:       4242,
		Start:     "8847362@4026531834",
		Boot:      "0f5f7ec0-5d2b-4a8e-8d0a-1df1a2f1a7c1",
		Namespace: "4026531836",
		Host:      "host-7",
		Command:   "nightly backup",
	},
	Since:   time.Date(2026, 11, 23, 7, 12, 3, 250_000_000, time.UTC),
	Witness: true,
	Local:   true,
}

const someRecord = `dirlock 1
pid 4242
start 8847362@4026531834
boot 0f5f7ec0-5d2b-4a8e-8d0a-1df1a2f1a7c1
namespace 4026531836
host host-7
command nightly backup
since 2026-11-23T07:12:03.250000000Z
witness yes
local yes
id 0b7fd5f3a0f14d5b8f3d4c1e2a697b10
end
`

// The format is on disks and read by other versions: it does not change by
// accident.
func TestRecordFormat(t *testing.T) {
	require.Equal(t, someRecord, string(lock.AppendRecord(nil, someOwner)))
	o, err := lock.ParseRecord([]byte(someRecord))
	require.NoError(t, err)
	require.Equal(t, someOwner, o)
}

// Earlier versions look for a lock of another kind as the witness. They must find
// neither the promise of one nor a place in which its absence says something.
func TestRecordOfWriteLock(t *testing.T) {
	o := someOwner
	o.WriteLock, o.Mount, o.Type, o.Direct = true, "2049", "ext4", true
	record := strings.Replace(someRecord, "witness yes\nlocal yes\n", "writelock yes\nplace local\nmount 2049\ntype ext4\ndirect yes\n", 1)
	require.Equal(t, record, string(lock.AppendRecord(nil, o)))
	parsed, err := lock.ParseRecord([]byte(record))
	require.NoError(t, err)
	require.Equal(t, o, parsed)
}

// Earlier ones left the last zeros of the time out.
func TestRecordTimeOfAnyLength(t *testing.T) {
	for _, since := range []string{"03.25", "03.250", "03.250000000"} {
		o, err := lock.ParseRecord([]byte(strings.Replace(someRecord, "03.250000000Z", since+"Z", 1)))
		require.NoError(t, err)
		require.Equal(t, someOwner, o)
	}
}

func TestRecordRoundTrip(t *testing.T) {
	tests := map[string]func(*lock.Owner){
		"all fields":         func(o *lock.Owner) {},
		"nothing known":      func(o *lock.Owner) { o.Identity = proc.Identity{PID: 1}; o.Witness, o.Local = false, false },
		"mounted":            func(o *lock.Owner) { o.Local, o.Mount = false, "0:47" },
		"for people":         func(o *lock.Owner) { o.User, o.Label = "alice", "nightly, to tape" },
		"largest PID":        func(o *lock.Owner) { o.PID = 1<<31 - 1 },
		"no time":            func(o *lock.Owner) { o.Since = time.Time{} },
		"nanoseconds":        func(o *lock.Owner) { o.Since = o.Since.Add(1) },
		"command like a key": func(o *lock.Owner) { o.Command = "end" },
		"longest names": func(o *lock.Owner) {
			o.Host, o.Command = strings.Repeat("h", 128), strings.Repeat("c", 128)
			o.User, o.Label = strings.Repeat("u", 128), strings.Repeat("l", 128)
		},
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			want := someOwner
			change(&want)
			got, err := lock.ParseRecord(lock.AppendRecord(nil, want))
			require.NoError(t, err)
			require.Equal(t, want, got)
		})
	}
}

// Times of another zone, and years that the format has no place for, must not
// make a record that its own author cannot read.
func TestRecordTime(t *testing.T) {
	for _, since := range []time.Time{
		{},
		time.Date(0, 1, 1, 0, 0, 0, 0, time.FixedZone("", 3600)), // the year before 0
		time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC),
		time.Date(2026, 1, 1, 0, 0, 0, 0, time.FixedZone("", -7200)),
	} {
		o := someOwner
		o.Since = since
		got, err := lock.ParseRecord(lock.AppendRecord(nil, o))
		require.NoError(t, err, since)
		if since.Year() == 2026 {
			require.True(t, since.Equal(got.Since), got.Since)
			require.Equal(t, time.UTC, got.Since.Location())
		} else {
			require.Zero(t, got.Since)
		}
	}
}

// Names come from the system, and may be anything.
func TestRecordNames(t *testing.T) {
	o := someOwner
	o.Host = "  über\x1b[31m\nid 0\nend\n\x00\x7f "
	o.Command = strings.Repeat("x", 5000)
	o.User, o.Label = o.Command, "\t"+o.Host+o.Command
	data := lock.AppendRecord(nil, o)
	require.LessOrEqual(t, len(data), lock.MaxRecord)
	got, err := lock.ParseRecord(data)
	require.NoError(t, err)
	require.Equal(t, "?ber?[31m?id 0?end???", got.Host)
	require.Equal(t, strings.Repeat("x", 128), got.Command)
	require.Equal(t, got.Command, got.User)
	require.Len(t, got.Label, 128)
	require.True(t, strings.HasPrefix(got.Label, "?ber?[31m?id 0?end???"), got.Label)
	require.Equal(t, o.ID, got.ID)
}

// A machine that loses its power can leave any beginning of a record, and
// zeroes in place of the rest. None of it is a record.
func TestRecordTorn(t *testing.T) {
	whole := []byte(someRecord)
	for n := range whole {
		for name, data := range map[string][]byte{
			"cut short":      whole[:n],
			"zeroes to size": append(bytes.Clone(whole[:n]), make([]byte, len(whole)-n)...),
			"zeroes to 512":  append(bytes.Clone(whole[:n]), make([]byte, 512-n)...),
			"zeroes to 1024": append(bytes.Clone(whole[:n]), make([]byte, lock.MaxRecord-n)...),
		} {
			o, err := lock.ParseRecord(data)
			require.ErrorIs(t, err, lock.ErrTorn, "%s after %d bytes", name, n)
			require.Zero(t, o)
		}
	}
	for _, n := range []int{1, 512, lock.MaxRecord} {
		_, err := lock.ParseRecord(make([]byte, n))
		require.ErrorIs(t, err, lock.ErrTorn, "%d zeroes", n)
	}
}

func TestRecordForeign(t *testing.T) {
	with := func(old, new string) string {
		if !strings.Contains(someRecord, old) {
			panic(old)
		}
		return strings.Replace(someRecord, old, new, 1)
	}
	tests := map[string]struct {
		data string
		want error
	}{
		"text":                {"hello\n", lock.ErrNotRecord},
		"text without end":    {"hello", lock.ErrNotRecord},
		"a process ID":        {"4242\n", lock.ErrNotRecord},
		"newline":             {"\n", lock.ErrNotRecord},
		"space":               {" ", lock.ErrNotRecord},
		"ELF":                 {"\x7fELF\x02\x01\x01\x00\x00", lock.ErrNotRecord},
		"byte order mark":     {"\ufeff" + someRecord, lock.ErrNotRecord},
		"CR LF":               {strings.ReplaceAll(someRecord, "\n", "\r\n"), lock.ErrNotRecord},
		"zeroes, then text":   {"\x00\x00" + someRecord, lock.ErrNotRecord},
		"a hole":              {with("pid 4242", "pid \x00\x00\x00\x00"), lock.ErrNotRecord},
		"more zeroes":         {someRecord + "\x00", lock.ErrNotRecord},
		"more text":           {someRecord + "x", lock.ErrNotRecord},
		"two records":         {someRecord + someRecord, lock.ErrNotRecord},
		"terminal escapes":    {with("nightly backup", "\x1b[2J"), lock.ErrNotRecord},
		"8-bit escapes":       {with("nightly backup", "\x9b2J"), lock.ErrNotRecord},
		"UTF-8":               {with("nightly backup", "über"), lock.ErrNotRecord},
		"delete":              {with("nightly backup", "\x7f"), lock.ErrNotRecord},
		"tab":                 {with("nightly backup", "a\tb"), lock.ErrNotRecord},
		"too long":            {with("command nightly backup", "command "+strings.Repeat("x", lock.MaxRecord)), lock.ErrNotRecord},
		"long and torn":       {strings.Repeat("\x00", lock.MaxRecord+1), lock.ErrNotRecord},
		"no space":            {with("pid 4242", "pid4242"), lock.ErrNotRecord},
		"no value":            {with("pid 4242", "pid "), lock.ErrNotRecord},
		"no key":              {with("pid 4242", " 4242"), lock.ErrNotRecord},
		"empty line":          {with("pid 4242", ""), lock.ErrNotRecord},
		"no pid":              {with("pid 4242\n", ""), lock.ErrNotRecord},
		"no id":               {with("id 0b7fd5f3a0f14d5b8f3d4c1e2a697b10\n", ""), lock.ErrNotRecord},
		"nothing but end":     {"dirlock 1\nend\n", lock.ErrNotRecord},
		"id too short":        {with("id 0b", "id "), lock.ErrNotRecord},
		"id with capitals":    {with("id 0b", "id 0B"), lock.ErrNotRecord},
		"bad time":            {with("2026-11-23T", "yesterday "), lock.ErrNotRecord},
		"time of other zone":  {with("03.250000000Z", "03.25+01:00"), lock.ErrNotRecord},
		"version 2":           {with("dirlock 1", "dirlock 2"), lock.ErrVersion},
		"version 10":          {with("dirlock 1", "dirlock 10"), lock.ErrVersion},
		"version 2, no more":  {"dirlock 2\n", lock.ErrVersion},
		"version 2, cut off":  {"dirlock 2", lock.ErrVersion},
		"version 10, cut off": {"dirlock 10", lock.ErrVersion},
		"version 2, other":    {"dirlock 2\n{}", lock.ErrVersion},
		"version 01":          {with("dirlock 1", "dirlock 01"), lock.ErrNotRecord},
		"version 0":           {with("dirlock 1", "dirlock 0"), lock.ErrNotRecord},
		"version -1":          {with("dirlock 1", "dirlock -1"), lock.ErrNotRecord},
		"version one":         {with("dirlock 1", "dirlock one"), lock.ErrNotRecord},
		"version too long":    {with("dirlock 1", "dirlock 1234567890"), lock.ErrNotRecord},
		"version with spaces": {with("dirlock 1", "dirlock 1 "), lock.ErrNotRecord},
		"no version":          {with("dirlock 1", "dirlock "), lock.ErrNotRecord},
		"another program":     {with("dirlock 1", "dirlocker 1"), lock.ErrNotRecord},
	}
	for _, pid := range []string{"0", "-1", "-4242", "2147483648", "4294967297", "9223372036854775808", "18446744073709551616", "1e3", "0x10", "4 2", "4242.0"} {
		tests["pid "+pid] = struct {
			data string
			want error
		}{with("pid 4242", "pid "+pid), lock.ErrNotRecord}
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			o, err := lock.ParseRecord([]byte(test.data))
			require.ErrorIs(t, err, test.want)
			require.NotErrorIs(t, err, lock.ErrTorn)
			require.Zero(t, o)
		})
	}
}

// Later programs may add fields, and earlier ones still read the record.
func TestRecordUnknownFields(t *testing.T) {
	data := strings.Replace(someRecord, "end\n", "color green and blue\nendurance 7\nend\n", 1)
	o, err := lock.ParseRecord([]byte(data))
	require.NoError(t, err)
	require.Equal(t, someOwner, o)
}

func TestOwnerString(t *testing.T) {
	for want, o := range map[string]proc.Identity{
		"backup (process 7) on host-7": {PID: 7, Command: "backup", Host: "host-7"},
		"backup (process 7)":           {PID: 7, Command: "backup"},
		"process 7 on host-7":          {PID: 7, Host: "host-7"},
		"process 7":                    {PID: 7},
	} {
		require.Equal(t, want, lock.Owner{Identity: o}.String())
	}
}

// checkParse is what holds for every input of the parser.
func checkParse(data []byte) error {
	o, err := lock.ParseRecord(data)
	if err != nil {
		kinds := 0
		for _, kind := range []error{lock.ErrTorn, lock.ErrNotRecord, lock.ErrVersion} {
			if errors.Is(err, kind) {
				kinds++
			}
		}
		switch {
		case kinds != 1:
			return fmt.Errorf("the error is of %d kinds: %w", kinds, err)
		case o != lock.Owner{}:
			return fmt.Errorf("an owner with an error: %+v", o)
		case !knownMessage(err.Error()):
			return fmt.Errorf("the message may show content: %w", err)
		}
		return nil
	}
	if o.PID <= 0 || len(o.ID) != 32 {
		return fmt.Errorf("impossible owner: %+v", o)
	}
	for _, s := range []string{o.Start, o.Boot, o.Namespace, o.Mount, o.Host, o.Command} {
		if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
			return fmt.Errorf("not plain text: %q", s)
		}
	}
	// What is read can be written. Names are cut to size then, since nothing
	// depends on them.
	again, err := lock.ParseRecord(lock.AppendRecord(nil, o))
	if err != nil {
		return fmt.Errorf("written again, it is not a record: %w", err)
	}
	again.Host, again.Command = o.Host, o.Command
	if again != o {
		return fmt.Errorf("written again, it is another:\n%+v\n%+v", o, again)
	}
	return nil
}

// knownMessage tells whether a message is one of those that the parser has, to
// which nothing of what it read is added, save a version number.
func knownMessage(s string) bool {
	switch s {
	case lock.ErrTorn.Error(), lock.ErrNotRecord.Error():
		return true
	}
	if detail, ok := strings.CutPrefix(s, lock.ErrNotRecord.Error()+": "); ok {
		switch detail {
		case "too long", "not plain text", "more than a record", "malformed line", "without pid or id",
			"malformed pid", "malformed since", "malformed id":
			return true
		}
		return false
	}
	v, ok := strings.CutPrefix(s, lock.ErrVersion.Error()+" (")
	v, closed := strings.CutSuffix(v, ")")
	return ok && closed && len(v) < 10 && strings.Trim(v, "0123456789") == ""
}
