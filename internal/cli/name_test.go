package cli

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestCommandName(t *testing.T) {
	for line, want := range map[string]string{
		"backup.sh":                            "backup.sh",
		"/usr/local/bin/backup.sh --full":      "backup.sh",
		"/bin/bash ./backup.sh --full":         "backup.sh",
		"bash -e -o pipefail /srv/x.sh":        "x.sh",
		"python3 -u /srv/job.py":               "job.py",
		"/usr/bin/python3.12 -W ignore job.py": "job.py",
		"env A=1 B=2 make all":                 "make",
		"sudo -u www-data rsync -a x y":        "rsync",
		"sudo env PATH=/x nice -n 10 tar -c .": "tar",
		"nohup bash x.sh":                      "x.sh",
		"bash":                                 "bash",
		"-bash":                                "-bash",
		"bash -i":                              "bash",
		"sh -c|make clean && make":             "make",
		"/bin/sh -c|cd /x; ./backup.sh --full": "cd",
		"dirlock":                              "dirlock",
	} {
		words, shell, _ := strings.Cut(line, "|")
		argv := strings.Fields(words)
		if shell != "" {
			argv = append(argv, shell)
		}
		assert.Equal(t, want, commandName(argv), line)
	}
}
