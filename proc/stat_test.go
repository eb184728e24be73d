package proc

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// between is what stands between the state and the start time in a real file,
// with two threads.
const between = " 1 7 7 0 -1 4194304 12 0 3 0 1 2 0 0 20 0 2 0 "

func TestParseStat(t *testing.T) {
	for _, name := range []string{
		"sh", "", " ", ")", "(", "a b ) ( c d", ") Z 1 (", "a) S 1 2 3", "\n", "a\n) R ", "\xff", "ü)",
	} {
		s, err := parseStat([]byte("7 (" + name + ") S" + between + "345 6 7\n"))
		require.NoError(t, err, "name %q", name)
		assert.Equal(t, stat{state: 'S', threads: "2", start: "345"}, s, "name %q", name)
	}
}

func TestParseStatRefuses(t *testing.T) {
	for _, content := range []string{
		"", "7", "7 (x", "7 (x)", "7 (x) ", "7 (x) S", "7 (x) S ", "7 )(", ")", "(", "7 ()", " (a b ) ( c d) ",
		"7 (x) S" + between,
		"7 (x) S" + between + "345",        // the number may go on
		"7 (x) SS" + between + "345 ",      // no state
		"7 (x) " + between + "345 ",        // no state
		"7 (x) 0" + between + "345 ",       // as qemu-user has it
		"7 (x) \xc3" + between + "345 ",    // no letter
		"7 (x)S" + between + "345 ",        // no space
		"7 (x) S" + between + "-345 ",      // not a time
		"7 (x) S" + between + "0x3 ",       // not a time
		"7 (x) S" + between + "345\n",      // no space
		"7 x) S" + between + "345 ",        // no parenthesis
		"7 (x) S 1 7 345 6 7 8 9 0 1 2 3 ", // too few
	} {
		_, err := parseStat([]byte(content))
		assert.ErrorIs(t, err, errStat, "%q", content)
	}
}

func TestStatZombie(t *testing.T) {
	for _, state := range "RSDTtIKWP" {
		assert.False(t, stat{state: byte(state)}.zombie(), "%c", state)
	}
	for _, state := range "ZXx" {
		assert.True(t, stat{state: byte(state)}.zombie(), "%c", state)
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte("7 (x)"))
	f.Add([]byte("7 )("))
	f.Add([]byte("1 (a b ) ( c d) S" + between + "345 6"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := parseStat(b)
		if err != nil {
			assert.Zero(t, s)
			return
		}
		assert.True(t, digits(s.start), "start %q", s.start)
		assert.True(t, digits(s.threads), "threads %q", s.threads)
		assert.Contains(t, string(b), ") "+string([]byte{s.state})+" ")
		assert.Contains(t, string(b), " "+s.start+" ")
		// A name in which everything is repeated changes nothing.
		again, err := parseStat([]byte("7 (" + strings.ToValidUTF8(string(b), "") + string(b[strings.LastIndexByte(string(b), ')'):])))
		require.NoError(t, err)
		assert.Equal(t, s, again)
	})
}
