package lock_test

import (
	"strings"
	"testing"

	"github.com/dirlock/dirlock/lock"
)

func FuzzParseRecord(f *testing.F) {
	f.Add([]byte(someRecord))
	f.Add([]byte(someRecord[:len(someRecord)/2]))
	f.Add([]byte(strings.Replace(someRecord, "dirlock 1", "dirlock 2", 1)))
	f.Add([]byte(strings.Replace(someRecord, "03.250000000Z", "03,25+23:59", 1)))
	f.Add([]byte(strings.Replace(someRecord, "4242", "+4242", 1)))
	f.Add([]byte(strings.Replace(someRecord, "witness yes", "witness no", 1)))
	f.Add(append([]byte(someRecord[:40]), make([]byte, 100)...))
	f.Add(make([]byte, lock.MaxRecord+1))
	f.Add([]byte("dirlock 1\npid 1\nid 00000000000000000000000000000000\nend\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := checkParse(data); err != nil {
			t.Errorf("%q: %v", data, err)
		}
	})
}
