package cli

import "github.com/spf13/cobra"

// topics are the pages of help that belong to no single command.
func topics() []*cobra.Command {
	return []*cobra.Command{
		{Use: "exit-status", Short: "What the exit statuses mean", Long: helpExitStatus},
		{Use: "signals", Short: "What signals do to dirlock and its command", Long: helpSignals},
		{Use: "environment", Short: "What the command finds in its environment", Long: helpEnvironment},
		{Use: "data", Short: "How to keep the lock file out of copies of the directory", Long: helpData},
		{Use: "shared", Short: "How commands share a lock", Long: helpShared},
		{Use: "json", Short: "What dirlock status --json prints", Long: helpJSON},
	}
}

const helpExitStatus = `"dirlock run" passes on the exit status of its command, or 128+N if signal N
ended it. Otherwise, as flock(1), sysexits(3) and the shell have them:

    0    success
    1    the lock is held (or what -E says); "status": held; "break": refused
    2    "status": stale
    3    "status": unreadable
   64    a mistake in the command line
   65    an unrecognized level file is in the way; nothing was touched
   66    the directory does not exist, or is not a directory
   69    the system or the file system cannot do what was asked for
   71    any other error of the system
   73    no permission, a read-only or a full file system
   76    the lock was lost while the command ran
   78    dirlock would wait for itself: it is part of what holds the lock
  126    the command cannot be executed
  127    the command was not found
  128+N  signal N ended dirlock while it waited

Where -E N is to tell "held" from everything else, choose an N that the command
itself does not use: 75 is EX_TEMPFAIL, "try again later".`

const helpSignals = `While "dirlock run" waits, a signal ends it at once, with nothing left behind.
While its command runs, dirlock passes on HUP, INT, QUIT, ABRT, USR1, USR2,
ALRM, TERM, VTALRM, IO, WINCH, and on Linux PWR and the real-time signals from
35 to 63, and goes on: it releases the lock when the command has ended, and not
before. A signal that was ignored when dirlock was started stays ignored if it
is HUP or INT: nohup(1) works.

Each signal reaches the command once. A key like Ctrl-C, timeout(1) and systemd
send a signal not to dirlock alone, but to the command as well. To tell, dirlock
has a second process in its process group that does nothing but notice signals:
"signal-decoy" on Linux, "dirlock --decoy" elsewhere. dirlock holds a signal for
0.1 seconds, and passes it on if that process did not get it, or if the command
has left the process group.

For the first 0.2 seconds that the command runs, dirlock does not catch ALRM,
VTALRM, IO, PWR and the real-time signals. They do nothing then.

STOP and TSTP stop dirlock and not the command, unless they come from the
terminal, which stops both. The lock stays held. XCPU, XFSZ and PROF are not
passed on: they are about dirlock itself. Neither are SEGV, BUS, FPE, ILL, TRAP
and SYS, which end dirlock.

KILL cannot be passed on. If dirlock is killed, its command goes on, and the lock
stays held until the command has ended, and every process that it has started
and that has inherited the descriptor DIRLOCK_FD. "dirlock status" says so. The
lock ends with dirlock if --close is given, on Windows, and on file systems
without locks of the kernel. With --kill-child the system (Linux, FreeBSD) sends
KILL to the command then. It does not reach processes that the command has
started, nor a command that gains privileges when it is executed (a set-user-ID
program such as sudo, or one with file capabilities).

If a signal has ended the command, or if one that asks to end (HUP, INT, QUIT,
ABRT, TERM) came while it ran, what it has started may still be at work: the
child of a script, most often. Then the lock is held until that has ended, too,
and signals go to it. After a normal end the lock is free at once: a daemon that
the command leaves behind does not keep it. "--linger always" and "--linger
never" change that. On Linux all descendants count; elsewhere those that have
inherited the descriptors of the command.

If the command runs as another user, as after sudo, dirlock may not send it
signals, and says so.

On Windows, Ctrl-C reaches both by the console, and nothing is passed on.`

const helpEnvironment = `The command that "dirlock run" runs finds in its environment

  DIRLOCK_DIR     the directory that is locked, without symbolic links
  DIRLOCK_OWNER   the ID of the owner, as it stands in the file L0
  DIRLOCK_FD      the number of the descriptor that keeps the lock, if there is
                  one. In bash, zsh or ksh, daemon {DIRLOCK_FD}>&- starts
                  a daemon that does not have it
  DIRLOCK_OWNERS  the IDs of all runs that it is part of, outermost first

dirlock reads DIRLOCK_OWNER and DIRLOCK_OWNERS to notice that it would wait for
itself, and

  DIRLOCK_MACHINE  a name for this machine that no other one has, ever. It is
                   written down with each lock. After a crash and restart,
                   dirlock knows by it that what the machine held before is
                   free, also on a network file system. Without it a person has
                   to break such locks. Two machines with one name break each
                   other's: the host name will not do where it is copied
                   together with a disk.`

const helpData = `While a directory is locked, the file L0 is in it (and for moments others named
L1, L2, L1.dead and so on, or .dirlock-*). Programs that copy the directory take
it along, and programs that clean it up remove it, and the lock with it. Either
lock a directory that has nothing else in it, beside the data:

  dirlock run --mkdir /var/lib/backup.lock -- backup.sh /var/lib/backup

or a lock that has a hidden file (--name .backup), which some of them leave out,
or tell those programs to leave the files alone:

  git       printf '/L[0-9]\n/L[0-9].dead\n/.dirlock-*\n' >>.git/info/exclude
  rsync     rsync -a --exclude '/L[0-9]' --exclude '/L[0-9].dead' \
                --exclude '/.dirlock-*' FROM/ TO/
  tar       tar -c --exclude './L[0-9]' --exclude './L[0-9].dead' \
                --exclude './.dirlock-*' -C DIR .
  tmpfiles  x /path/to/DIR/L[0-9]
            x /path/to/DIR/L[0-9].dead

A copy of the file locks nothing: its owner has no lock of the kernel on it. The
next one who wants the lock of the copy takes it.

If the file is removed or replaced, or the directory is moved, the lock is lost.
dirlock notices, at once as a rule, and ends its command (see --on-lost of
"dirlock run").`

const helpJSON = `"dirlock status --json" prints one line for each directory, with an object:

  dir     string  the directory, without symbolic links; as it was given if
                  state is "error"
  state   string  "free", "held", "shared", "stale", "unreadable"; or "error"
                  if the directory cannot be read
  error   string  what is wrong, if state is "error"; else missing
  hint    string  what to do then; else missing
  levels  array   its level files, lowest first, empty if there are none
  readers array   those who share the lock, or died while they did: levels with
                  level 0, in no order
  waiting array   the same of those who wait to have a shared lock alone

If state is "held" or "stale", levels[0] is that of the holder; a dead one in
state "held" is just being replaced by the owner of a higher level. A level is

  level   number  0 for the holder; higher for processes that died while taking
                  over, or are taking over now
  path    string  the file
  state   string  of its owner: "alive", "dead", "unknown"; or "unreadable" if
                  the content of the file is unrecognized
  reason  string  for state, in words
  owner   object  or null if the file does not tell

and an owner, with strings that are empty where its system could not tell, is

  id           string   unique for each time that somebody acquires a lock
  pid          number   the process
  host         string   its machine
  command      string   its name; "dirlock run NAME" if dirlock runs NAME, and
                        "dirlock lock NAME" if NAME is a shell that called that
  command_pids  array   the processes of NAME that can be seen from here: those
                        that dirlock has started or taken over; if it was killed,
                        those that keep the lock (Linux)
  user         string   the name of its user
  label        string   what the lock is held for, from --label
  since        string   when it acquired the lock, by its machine's clock, in UTC
                        (RFC 3339); of year 1 if its file does not tell
  age_seconds  number   from then to now, by this machine's clock, never negative;
                        0 if its file does not tell
  start        string   which process of that number,
  boot         string   of which run of the kernel,
  namespace    string   in which PID namespace
  other_namespace  boolean  whether it runs on this machine in another PID
                        namespace, as in a container: pid means another process
                        here, or none
  witness      boolean  whether its kernel vouches for its life

Fields may be added. What is here keeps its name and meaning.`
