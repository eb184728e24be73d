package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dirlock/dirlock/lock"
)

// The shells load the completion, and it completes.
func TestCompletion(t *testing.T) {
	const bash = `
		. /usr/share/bash-completion/bash_completion
		. <(dirlock completion bash)
		COMP_LINE=$1 COMP_POINT=${#1} COMP_TYPE=9 COMP_KEY=9
		read -ra COMP_WORDS <<<"$1"
		case $1 in *' ') COMP_WORDS+=("");; esac
		COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
		compopt() { :; }
		__start_dirlock
		printf '%s\n' "${COMPREPLY[@]}"`
	const fish = `dirlock completion fish | source; complete -C $argv[1]`
	// A key shows the line that zsh has made of it.
	const zsh = `
		zmodload zsh/zpty
		zpty it zsh -f -i
		expect() {
			local all= part
			while [[ $all != *${~1}* ]]; do zpty -r it part || exit; all+=$part; done
			print -r -- $all
		}
		zpty -w it 'PS1=; autoload -Uz compinit; compinit -u -D; . <(dirlock completion zsh)'
		zpty -w it 'show() { print -r -- "[$BUFFER]" }; zle -N show; bindkey "^X" show; echo lo""aded'
		expect loaded >/dev/null
		zpty -w -n it "$1"$'\t\x18'
		expect "[[]*[]]"`

	dir := t.TempDir()
	l := lock.New(dir)
	require.NoError(t, l.Lock())
	owner, _ := l.Owner()
	for i, c := range []struct{ line, want string }{
		{"dirlock st", "status"},
		{"dirlock run --ling", "--linger"},
		{"dirlock run d -- setpri", "setpriv"},
		{"dirlock run d setpri", "setpriv"},
		{"dirlock break " + dir + " --owner ", owner.ID},
		{"dirlock help sign", "signals"},
		{"dirlock run som", "some"},
	} {
		for name, command := range map[string][]string{
			"bash": {"bash", "--norc", "-c", bash, "bash", c.line},
			"fish": {"fish", "--no-config", "-c", fish, c.line},
			"zsh":  {"zsh", "-f", "-c", zsh, "zsh", c.line},
		} {
			if name == "zsh" && i%2 == 1 {
				continue // it takes two seconds
			}
			t.Run(name+" "+strings.ReplaceAll(c.line, dir, "DIR"), func(t *testing.T) {
				if _, err := exec.LookPath(name); err != nil {
					t.Skip(err)
				}
				if _, err := os.Stat("/usr/share/bash-completion/bash_completion"); name == "bash" && err != nil {
					t.Skip(err)
				}
				cmd := exec.Command(command[0], command[1:]...)
				cmd.Dir = t.TempDir()
				cmd.Env = append(os.Environ(), "TERM=xterm", "HOME="+cmd.Dir)
				require.NoError(t, os.Mkdir(filepath.Join(cmd.Dir, "some dir"), 0o777))
				out, err := cmd.CombinedOutput()
				require.NoError(t, err, "%s", out)
				require.Contains(t, string(out), c.want)
			})
		}
	}
	require.NoError(t, l.Unlock())
}

// The manual page is without fault.
func TestManLint(t *testing.T) {
	if _, err := exec.LookPath("mandoc"); err != nil {
		t.Skip(err)
	}
	page, err := exec.Command("dirlock", "man").Output()
	require.NoError(t, err)
	lint := exec.Command("mandoc", "-T", "lint")
	lint.Stdin = strings.NewReader(string(page))
	out, err := lint.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Empty(t, string(out))
	require.Regexp(t, `^\.TH DIRLOCK 1 \d{4}-\d\d-\d\d `, string(page))
	require.Contains(t, string(page), "exit status N if the lock is held (default 1)\n")
	require.Contains(t, string(page), "[\\fB\\-w\\fR \\fIDURATION\\fR]\n")
}
