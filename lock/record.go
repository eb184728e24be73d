package lock

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// The owner record, as it stands in a level file. It is plain text, a line a
// field, so that cat shows it:
//
//	dirlock 1
//	pid 4242
//	unique 81234
//	start 8847362@4026531834
//	boot 0f5f7ec0-5d2b-4a8e-8d0a-1df1a2f1a7c1
//	namespace 4026531836
//	machine rack-7
//	host host-7
//	command backup
//	user alice
//	label nightly, to tape
//	since 2026-11-23T07:12:03.250000000Z
//	writelock yes
//	place local
//	mount 2049
//	type ext4
//	direct yes
//	id 0b7fd5f3a0f14d5b8f3d4c1e2a697b10
//	end
//
// Empty fields are left out. A reader skips fields that it does not know, so
// that fields can be added without a new version. The last line proves that the
// record is whole.
const (
	magic     = "dirlock "
	version   = "1"
	lastLine  = "end"
	maxRecord = 1024 // bytes; longer is not a record
	maxField  = 128  // bytes of a field's value, when written
	idLen     = 32   // hexadecimal digits

	// RFC 3339, always in UTC. It is written with all digits, so that all records
	// of a handle have the same length.
	timeFormat = "2006-01-02T15:04:05.999999999Z"
	timeWrite  = "2006-01-02T15:04:05.000000000Z"
)

// errTorn means that the file begins like a record and ends too early, as a
// machine leaves it that lost its power before the data reached the disk.
var errTorn = errors.New("an incomplete lock record")

// appendRecord appends the record of o to b.
func appendRecord(b []byte, o Owner) []byte {
	head, tail := fixedLines(o)
	return appendRecordParts(b, head, tail, o)
}

// fixedLines returns the lines that the records of one owner have in common: those
// before the time, and those between the time and the ID.
func fixedLines(o Owner) (head, tail []byte) {
	head = appendField(head, "dirlock", version)
	head = appendField(head, "pid", strconv.Itoa(o.PID))
	head = appendField(head, "unique", o.Unique)
	head = appendField(head, "start", o.Start)
	head = appendField(head, "boot", o.Boot)
	head = appendField(head, "namespace", o.Namespace)
	head = appendField(head, "machine", o.Machine)
	head = appendField(head, "host", printable(o.Host))
	head = appendField(head, "command", printable(o.Command))
	head = appendField(head, "user", printable(o.User))
	head = appendField(head, "label", printable(o.Label))
	switch {
	case o.WriteLock:
		// Earlier versions look for another lock, as the promise of a witness, and
		// would miss it. For them this is a record without one, and of no place.
		tail = appendField(tail, "writelock", "yes")
		if o.Local {
			tail = appendField(tail, "place", "local")
		}
	default:
		if o.Witness {
			tail = appendField(tail, "witness", "yes")
		}
		if o.Local {
			tail = appendField(tail, "local", "yes")
		}
	}
	tail = appendField(tail, "mount", o.Mount)
	tail = appendField(tail, "type", o.Type)
	if o.Direct {
		tail = appendField(tail, "direct", "yes")
	}
	return head, tail
}

// appendRecordParts appends to b a record of such lines, with the time and the ID
// of o.
func appendRecordParts(b, head, tail []byte, o Owner) []byte {
	b = append(b, head...)
	if since := recordTime(o.Since); !since.IsZero() {
		b = append(b, "since "...)
		b = since.AppendFormat(b, timeWrite)
		b = append(b, '\n')
	}
	b = append(b, tail...)
	b = appendField(b, "id", o.ID)
	return append(b, lastLine+"\n"...)
}

func appendField(b []byte, key, value string) []byte {
	if value == "" {
		return b
	}
	b = append(b, key...)
	b = append(b, ' ')
	b = append(b, value...)
	return append(b, '\n')
}

// recordTime returns t as a record holds it. A time that the format has no place
// for is as good as none.
func recordTime(t time.Time) time.Time {
	if t = t.UTC().Round(0); t.Year() < 0 || t.Year() > 9999 {
		return time.Time{}
	}
	return t
}

// printable makes a name safe to write on a line and to show on a terminal.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, strings.TrimSpace(s))
	return s[:min(len(s), maxField)]
}

// parseRecord reads what is in a level file. The error matches errTorn,
// ErrVersion or ErrNotRecord, and shows nothing of the content.
func parseRecord(data []byte) (Owner, error) {
	if len(data) > maxRecord {
		return Owner{}, fmt.Errorf("%w: too long", ErrNotRecord)
	}
	text := string(bytes.TrimRight(data, "\x00"))
	if text == "" {
		return Owner{}, errTorn
	}
	for _, c := range []byte(text) {
		if c != '\n' && (c < ' ' || c > '~') {
			return Owner{}, fmt.Errorf("%w: not plain text", ErrNotRecord)
		}
	}

	first, rest, complete := strings.Cut(text, "\n")
	v, isOurs := strings.CutPrefix(first, magic)
	switch {
	case !complete && strings.HasPrefix(magic+version, first):
		return Owner{}, errTorn
	case !isOurs || !isNumber(v):
		return Owner{}, ErrNotRecord
	case v != version:
		return Owner{}, fmt.Errorf("%w (%s)", ErrVersion, v)
	}

	o, err := parseFields(rest)
	if err == nil && len(text) != len(data) {
		return Owner{}, fmt.Errorf("%w: more than a record", ErrNotRecord)
	}
	return o, err
}

// parseFields reads the lines after the first one.
func parseFields(text string) (o Owner, err error) {
	for {
		line, rest, complete := strings.Cut(text, "\n")
		if !complete {
			return Owner{}, errTorn
		}
		if line == lastLine {
			text = rest
			break
		}
		key, value, ok := strings.Cut(line, " ")
		if !ok || key == "" || value == "" {
			return Owner{}, fmt.Errorf("%w: malformed line", ErrNotRecord)
		}
		if err := o.setField(key, value); err != nil {
			return Owner{}, fmt.Errorf("%w: malformed %s", ErrNotRecord, key)
		}
		text = rest
	}
	switch {
	case text != "":
		return Owner{}, fmt.Errorf("%w: more than a record", ErrNotRecord)
	case o.PID == 0 || o.ID == "":
		return Owner{}, fmt.Errorf("%w: without pid or id", ErrNotRecord)
	}
	return o, nil
}

// setField sets one field from its text. Unknown fields are skipped.
func (o *Owner) setField(key, value string) (err error) {
	switch key {
	case "pid":
		// 31 bits hold every process ID of every system (Windows' are 32 bits
		// wide, but small). Zero and negative ones name groups, not processes.
		var pid int64
		pid, err = strconv.ParseInt(value, 10, 32)
		if o.PID = int(pid); err == nil && pid <= 0 {
			err = strconv.ErrRange
		}
	case "unique":
		o.Unique = value
	case "start":
		o.Start = value
	case "boot":
		o.Boot = value
	case "namespace":
		o.Namespace = value
	case "machine":
		o.Machine = value
	case "host":
		o.Host = value
	case "command":
		o.Command = value
	case "user":
		o.User = value
	case "label":
		o.Label = value
	case "since":
		o.Since, err = time.Parse(timeFormat, value)
	case "witness":
		o.Witness = value == "yes"
	case "local":
		o.Local = value == "yes"
	case "writelock":
		o.WriteLock = value == "yes"
		o.Witness = o.Witness || o.WriteLock
	case "place":
		o.Local = value == "local"
	case "mount":
		o.Mount = value
	case "type":
		o.Type = value
	case "direct":
		o.Direct = value == "yes"
	case "id":
		if o.ID = value; !isID(value) {
			err = strconv.ErrSyntax
		}
	}
	return err
}

// isNumber tells whether s is a decimal number without sign or leading zero.
func isNumber(s string) bool {
	return s != "" && len(s) < 10 && s[0] != '0' && strings.Trim(s, "0123456789") == ""
}

// isID tells whether s is the ID of an owner.
func isID(s string) bool {
	return len(s) == idLen && strings.Trim(s, "0123456789abcdef") == ""
}
