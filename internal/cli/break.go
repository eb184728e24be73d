package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dirlock/dirlock/lock"
)

func newBreak() *cobra.Command {
	var ids []string
	var force, quiet bool
	cmd := &cobra.Command{
		Use:   "break [flags] DIR --owner ID...",
		Short: "Break a lock whose owner cannot be proved dead",
		Long: `Release the lock of DIR that the owner ID holds, which "dirlock status" shows. If
another owner holds it by then, or none does, nothing happens.

A machine that crashed while it took over the lock leaves two records, of level 0
and of a higher one. Name both owners, with an --owner each. An owner whose record
is incomplete has no ID: name its level, as in --owner L0.

Nobody has to break the lock of a dead owner: the next one who wants the lock
takes it. This command is for an owner that cannot be checked: a process of
another machine that will never come back, for example.

An owner that is alive is broken only with --force. It is not stopped, goes on
as if it had the lock, and so is not alone any more: stop it first, if you can.

The exit status is 0 if the lock was broken, 1 if it was not, because the owner
is alive or ID does not hold the lock; see "dirlock help exit-status" for others.`,
		Example: `  dirlock status /srv/repo
  dirlock break /srv/repo --owner 0b7fd5f3a0f14d5b8f3d4c1e2a697b10`,
		Args:              takes(1, 1),
		ValidArgsFunction: completeDirs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(ids) == 0 {
				return noOwner(args[0])
			}
			for _, id := range ids {
				if !isOwnerID(id) && !isLevel(id) {
					return usageError{fmt.Errorf("--owner takes an ID of 32 hexadecimal digits, or the name of a level such as L0, not %q", id), cmd.CommandPath(), `"dirlock status" shows it`}
				}
			}
			return breakOwners(cmd, args[0], ids, force, quiet)
		},
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&ids, "owner", nil, "the `ID` of an owner to break, as \"dirlock status\" shows it")
	addName(flags)
	flags.BoolVar(&force, "force", false, "break the owner even if it is alive")
	flags.BoolVarP(&quiet, "quiet", "q", false, "say nothing but errors")
	_ = cmd.RegisterFlagCompletionFunc("owner", completeOwners)
	return cmd
}

func breakOwners(cmd *cobra.Command, dir string, ids []string, force, quiet bool) error {
	l := newLockOf(dir)
	breaks := l.Break
	if force {
		breaks = l.ForceBreak
	}
	err := breaks(cmd.Context(), ids...)
	switch {
	case errors.Is(err, lock.ErrAlive):
		return exitError{exitConflict, err.Error(), "stop it, or use --force"}
	case errors.Is(err, lock.ErrOtherOwner):
		return breakNothing(l, err)
	case err != nil || quiet:
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "broke the lock of %s: owner %s\n", printable(dir), strings.Join(ids, ", "))
	return err
}

// noOwner is the error for a command line without --owner.
func noOwner(dir string) error {
	usage := usageError{errors.New("no owner given"), "dirlock break", `"dirlock status" shows the owner: dirlock break DIR --owner ID`}
	s, err := newLockOf(dir).Status()
	if err != nil {
		return err
	}
	switch st, level := s.State(); st {
	case lock.Free, lock.Stale:
		usage.hint = "the lock can be had: there is nothing to break"
	case lock.Unreadable:
		return level.Err
	case lock.Held, lock.Shared:
		usage.hint = fmt.Sprintf("it is held by %s: %s", who(level.Owner), breakCommand(s, dir))
	}
	return usage
}

// breakNothing is the error if none of the owners was to be broken.
func breakNothing(l *lock.DirLock, err error) error {
	if s, statusErr := l.Status(); statusErr == nil {
		if st, level := s.State(); st == lock.Unreadable {
			return level.Err
		}
	}
	return exitError{exitConflict, err.Error(), `see "dirlock status" for who holds the lock`}
}

// breakCommand is the command that breaks a lock that is held: it names all that
// are in the way.
func breakCommand(s lock.Status, dir string) string {
	text := "dirlock break " + shellWord(dir)
	if s.Name != "" {
		text += " --name " + s.Name
	}
	for _, level := range s.InTheWay() {
		text += " --owner " + level.BreakID()
	}
	return text
}

// isLevel tells whether s has the form of a level's name.
func isLevel(s string) bool {
	n, ok := strings.CutPrefix(s, "L")
	return ok && n != "" && strings.Trim(n, "0123456789") == ""
}

// shellWord is a path as a person types it.
func shellWord(path string) string {
	if path = printable(path); strings.Trim(path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+:@%,=") != "" || path == "" {
		return quote(path)
	}
	return path
}

// isOwnerID tells whether s has the form of an owner's ID.
func isOwnerID(s string) bool {
	return len(s) == 32 && strings.Trim(s, "0123456789abcdef") == ""
}

// completeOwners completes the IDs of the owners of the directory that is on
// the command line already.
func completeOwners(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	var ids []string
	if len(args) > 0 {
		s, _ := newLockOf(args[0]).Status()
		for _, level := range slices.Concat(s.Levels, s.Readers, s.Waiting) {
			if id := level.BreakID(); id != "" {
				ids = append(ids, cobra.CompletionWithDesc(id, who(level.Owner)))
			}
		}
	}
	return ids, cobra.ShellCompDirectiveNoFileComp
}
