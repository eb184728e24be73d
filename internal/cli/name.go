package cli

import (
	"path/filepath"
	"strconv"
	"strings"
)

func itoa(n int) string { return strconv.Itoa(n) }

// commandName returns the name of a command as people know it: that of the script
// and not of its interpreter, that of the program and not of what it is started
// with.
func commandName(argv []string) string {
	for i := 0; i < len(argv); i++ {
		name := filepath.Base(argv[i])
		wraps, isWrapper := wrappers[strings.TrimRight(strings.TrimPrefix(name, "-"), "0123456789.")]
		if !isWrapper {
			return name
		}
		next := skipFlags(argv, i+1, wraps)
		if next < 0 {
			return name
		}
		if strings.ContainsAny(argv[next], " \t\n;&|") { // a line of shell
			return commandName(strings.Fields(argv[next]))
		}
		i = next - 1
	}
	return filepath.Base(argv[0])
}

// wrappers are programs that run another one, each with its flags that take a
// value.
var wrappers = map[string]string{
	"sh": "o", "bash": "oO", "dash": "o", "ash": "o", "ksh": "o", "zsh": "o", "fish": "",
	"python": "WXQ", "perl": "", "ruby": "", "node": "", "php": "",
	"env": "uSC", "sudo": "ugpChrtTUR", "doas": "uC", "nice": "n", "ionice": "cn", "nohup": "", "time": "fo",
	"setsid": "", "stdbuf": "ioe", "chrt": "", "busybox": "",
}

// skipFlags returns the index of the first argument that is neither a flag nor
// the value of one nor the setting of a variable, or -1. The line of -c is one.
func skipFlags(argv []string, i int, withValue string) int {
	for ; i < len(argv); i++ {
		arg := argv[i]
		switch {
		case arg == "--" || arg == "-":
		case len(arg) == 2 && arg[0] == '-' && strings.Contains(withValue, arg[1:]):
			i++
		case strings.HasPrefix(arg, "-"):
		case isSetting(arg):
		default:
			return i
		}
	}
	return -1
}

// isSetting tells whether an argument of env(1) sets a variable.
func isSetting(arg string) bool {
	name, _, ok := strings.Cut(arg, "=")
	return ok && name != "" && strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") == ""
}
