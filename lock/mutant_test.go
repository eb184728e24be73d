package lock_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"html/template"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dirlock/dirlock/internal/testutil/explore"
)

// A mutant is one change to the code, as small as a slip of the pen, that only
// this test builds. The explorer must find what it breaks.
type mutant struct {
	name     string
	file     string
	old, new string
	hunts    string // names of the searches to go through, the first ones first
	property string // that breaks; empty if nothing does
	why      string // it breaks, or does not
}

var mutants = []mutant{
	{
		name: "no second read", file: "protocol.go",
		old:   "r, isStale, err := v.lookTwice(i)",
		new:   "r, err := v.look(i)\n\t\t\tisStale := !r.gone && r.state == proc.Dead",
		hunts: "5x1", property: explore.OwnFiles,
		why: "an owner removes its level and then dies: it is found dead, and the level is not there any more",
	},
	{
		name: "no second read in the sweep", file: "protocol.go",
		old:   "\t\tunchanged, err := v.unchanged(r)\n",
		new:   "\t\tunchanged, err := true, error(nil)\n",
		hunts: "3x1 4x1 5x1", property: explore.OwnFiles,
		why: "the level that was judged is gone, and another process's has taken its place",
	},
	{
		name: "no last look at level 0", file: "protocol.go",
		old:   "unchanged, err := v.unchanged(m)",
		new:   "unchanged, err := true, error(nil)",
		hunts: "3x1 3x2", property: explore.OwnFiles,
		why: "somebody else has recovered the lock since it was judged",
	},
	{
		name: "the last look at level 0 compares the PID", file: "protocol.go",
		old:   "unchanged, err := v.unchanged(m)",
		new:   "now, err := v.look(0)\n\tunchanged := err == nil && !now.gone && now.owner.PID == m.owner.PID",
		hunts: "3x1 pid-again", property: explore.OwnFiles,
		why: "a later process that has the PID of the dead owner has recovered the lock since",
	},
	{
		name: "a level that is gone is stale", file: "protocol.go",
		old:   "if err != nil || r.gone || r.state != proc.Dead {\n\t\treturn r, false, err\n\t}",
		new:   "if r.gone {\n\t\treturn r, true, nil\n\t}\n\tif err != nil || r.state != proc.Dead {\n\t\treturn r, false, err\n\t}",
		hunts: "3x1 4x1 5x1", property: explore.OwnFiles,
		why: "the level is free, and whoever takes it next may replace level 0 as well",
	},
	{
		name: "a level 0 that is gone is unchanged", file: "level.go",
		old:   "case errors.Is(err, fs.ErrNotExist), errors.Is(err, fsys.ErrNotRegular), errors.Is(err, fsys.ErrBusy):\n\t\treturn false, nil",
		new:   "case errors.Is(err, fs.ErrNotExist), errors.Is(err, fsys.ErrNotRegular), errors.Is(err, fsys.ErrBusy):\n\t\treturn true, nil",
		hunts: "3x1 3x2", property: explore.OwnFiles,
		why: "between that look and the replacement somebody creates level 0",
	},
	{
		name: "unknown is dead", file: "protocol.go",
		old:   "if m.state != proc.Dead {",
		new:   "if m.state == proc.Alive {",
		hunts: "hosts", property: explore.OwnFiles,
		why: "the owner lives on another machine",
	},
	{
		name: "unknown is dead above level 0", file: "protocol.go",
		old:   "if err != nil || r.gone || r.state != proc.Dead {",
		new:   "if err != nil || r.gone || r.state == proc.Alive {",
		hunts: "hosts two-hosts", property: explore.OwnFiles,
		why: "the owner of the level lives on another machine",
	},
	{
		name: "the levels are removed before level 0 is replaced", file: "protocol.go",
		old:   "\terr = v.dir.Replace(",
		new:   "\tv.sweep(i, stale)\n\terr = v.dir.Replace(",
		hunts: "3x1-own", property: explore.OwnFiles,
		why: "whoever takes the removed level may replace level 0 as well",
	},
	{
		name: "the levels are removed bottom-up", file: "protocol.go",
		old:   "slices.Backward(stale)",
		new:   "slices.All(stale)",
		hunts: "3x1-stack 3x2-stack 4x1", property: "",
		why: "level 0 holds the record of a living owner by then. Whoever climbs over a gap has judged another record at level 0, and sees that in its last look. " +
			"If the sweeper dies half-way, levels above the gap stay until the next recovery sweeps all levels that exist, not only those up to the first gap",
	},
	{
		name: "only the topmost level is removed", file: "protocol.go",
		old:   "\tv.sweep(i, stale)\n",
		new:   "",
		hunts: "3x1-stack", property: explore.Clean,
		why: "the levels of the dead stay",
	},
	{
		name: "level 0 is removed and created", file: "protocol.go",
		old:   "err = v.dir.Replace(levelName(i), levelName(0))",
		new:   "err = errors.Join(v.dir.Remove(levelName(0)), v.dir.Replace(levelName(i), levelName(0)))",
		hunts: "3x1", property: explore.OwnFiles,
		why: "somebody creates level 0 in between",
	},
	{
		name: "an error of the replacement is swallowed", file: "protocol.go",
		old:   "err = errors.Join(err, h.withdraw(i, 0))",
		new:   "err = nil",
		hunts: "2x1-faults", property: explore.NoFailure,
		why: "the lock counts as acquired, and level 0 holds another record",
	},
	{
		name: "without a replacement, whoever was faster is removed", file: "protocol.go",
		old:   "owned, err := v.create(0)\n",
		new:   "owned, err := v.create(0)\n\tif taken(err) {\n\t\t_ = v.dir.Remove(levelName(0))\n\t\towned, err = v.create(0)\n\t}\n",
		hunts: "3x1-no-replace", property: explore.OwnFiles,
		why: "he owns the directory",
	},
	{
		name: "without a replacement, the own level stays", file: "protocol.go",
		old:   "if e := h.withdraw(i); e != nil {\n\t\terr",
		new:   "if e := error(nil); e != nil {\n\t\terr",
		hunts: "3x1-no-replace", property: explore.Clean,
		why: "it stays when the lock is released",
	},
	{
		name: "without a replacement, the own level goes first", file: "protocol.go",
		old:   "\terr := v.dir.Remove(levelName(0))\n\tif err != nil",
		new:   "\terr := errors.Join(h.withdraw(i), v.dir.Remove(levelName(0)))\n\tif err != nil",
		hunts: "3x1-no-replace 4x1-no-replace", property: explore.OwnFiles,
		why: "whoever takes that level next may remove level 0 as well, and the first one removes what came then",
	},
	{
		name: "stepping back leaves the own level", file: "protocol.go",
		old:   "return nil, m, true, errors.Join(err, h.withdraw(i))",
		new:   "return nil, m, true, err",
		hunts: "3x1", property: explore.NoFailure,
		why: "a living process that does not own the lock is in everybody's way",
	},
	{
		name: "stepping back removes the own level twice", file: "protocol.go",
		old:   "return nil, m, true, errors.Join(err, h.withdraw(i))",
		new:   "err = errors.Join(err, h.withdraw(i))\n\t\t_ = v.dir.Remove(levelName(i))\n\t\treturn nil, m, true, err",
		hunts: "3x1 4x1", property: explore.OwnFiles,
		why: "somebody else has taken the level in between",
	},
	{
		name: "stepping back tries once", file: "level.go",
		old:   "for range 3 {",
		new:   "for range 1 {",
		hunts: "2x1-faults 3x1-faults", property: explore.NoFailure,
		why: "an error in stepping back leaves the level in everybody's way",
	},
	{
		name: "Unlock does not look", file: "protocol.go",
		old:   "if err == nil && (place == fsys.Here || place == fsys.Moved) {",
		new:   "if err == nil {",
		hunts: "meddler", property: explore.OwnFiles,
		why: "the lock was lost, and the file is the next owner's",
	},
	{
		name: "Unlock by somebody else removes level 0", file: "handle.go",
		old:   "\tif h == nil {\n\t\treturn nil, nil, nil",
		new:   "\tif h == nil {\n\t\tif v, err := l.enter(); err == nil {\n\t\t\t_ = v.dir.Remove(levelName(0))\n\t\t}\n\t\treturn nil, nil, nil",
		hunts: "unlock-twice", property: explore.OwnFiles,
		why: "it is the owner's",
	},
	{
		name: "Unlock of a lost lock succeeds", file: "rlock.go",
		old:   "case lost != nil:",
		new:   "case lost != nil && false:",
		hunts: "meddler", property: explore.Answers,
		why: "what the lock protected may have had two users, and nobody is told",
	},
	{
		name: "a lock with a name removes a file of another one", file: "named.go",
		old:   "return p.Dir.Remove(p.prefix + name) }",
		new:   "return p.Dir.Remove(name) }",
		hunts: "named", property: explore.Answers,
		why: "the file is that of the lock without a name",
	},
	{
		name: "a lock with a name replaces a file of another one", file: "named.go",
		old:   "return p.Dir.Replace(p.prefix+oldname, p.prefix+newname)",
		new:   "return p.Dir.Replace(p.prefix+oldname, newname)",
		hunts: "named", property: explore.Answers,
		why: "the file is that of the lock without a name",
	},
	{
		name: "records repeat within a process", file: "identity.go",
		old:   "if _, err := io.ReadFull(l.rand, id[:]); err != nil {",
		new:   "if _, err := io.ReadFull(l.rand, id[:0]); err != nil {",
		hunts: "3x2-stack two-handles 4x1 pid-again", property: explore.Unique,
		why: "two acquisitions have one name: nobody can say which of them is to be broken, and a process does not know which one it holds",
	},
	{
		name: "incomplete records are compared by content", file: "level.go",
		old:   "case before.torn && (before.ID != now.ID || now.ID == fsys.ID{}):",
		new:   "case false:",
		hunts: "3x1-stack 4x1", property: "",
		why: "here name and content appear in one step, so that no incomplete record appears while others run, and no second one takes the place of a first",
	},
	{
		name: "there are three levels", file: "protocol.go",
		old:   "for i := 1; ; {",
		new:   "for i := 1; ; {\n\t\tif i > 3 {\n\t\t\treturn nil, m, false, nil\n\t\t}",
		hunts: "full-stack", property: explore.NoLockOut,
		why: "three that died while they recovered the lock shut out everybody for good",
	},
	{
		name: "an own record is stale", file: "liveness.go",
		old:   "if o.PID == self.PID && !v.holdsID(o.ID) {",
		new:   "if o.PID == self.PID {",
		hunts: "handles", property: explore.OwnFiles,
		why: "another handle of this process holds the lock",
	},
	{
		name: "the owner is never asked for", file: "liveness.go",
		old:   "case sameNamespace(o, self):",
		new:   "case false:",
		hunts: "3x1", property: explore.NoLockOut,
		why: "the dead are not known to be dead",
	},
	{
		name: "a witness that cannot be asked is free", file: "liveness.go",
		old:   "letGo := o.Witness && witness != fsys.NoWitness &&",
		new:   "letGo := o.Witness &&",
		hunts: "containers-faults", property: explore.OwnFiles,
		why: "the question fails, and the owner lives in another container",
	},
	{
		name: "an owner that has let go is alive as long as its process", file: "liveness.go",
		old:   "letGo := o.Witness &&",
		new:   "letGo := o.PID != self.PID && !sameNamespace(o, self) && o.Witness &&",
		hunts: "1x1-copy", property: explore.NoLockOut,
		why: "a record that was copied shuts out everybody for as long as its process lives",
	},
	{
		name: "a process that lives has not let go", file: "liveness.go",
		old:   "case letGo && local:",
		new:   "case letGo && local && !sameNamespace(o, self):",
		hunts: "1x1-reexec", property: explore.NoLockOut,
		why: "the process has started its program anew, and holds nothing",
	},
	{
		name: "a lock that every reader can take is the owner's", file: "liveness.go",
		old:   "r.Witness == fsys.HeldWeakly && !r.owner.WriteLock\n",
		new:   "r.Witness == fsys.HeldWeakly\n",
		hunts: "1x1-flock", property: explore.NoLockOut,
		why: "whoever may read the file keeps its dead owner alive",
	},
	{
		name: "a witness of another mount is believed", file: "liveness.go",
		old:   "return direct || o.Mount != \"\" && o.Mount == loc.Mount",
		new:   "return true",
		hunts: "views", property: explore.OwnFiles,
		why: "the owner lives, and holds the file of its own mount",
	},
	{
		name: "another boot is an earlier one", file: "liveness.go",
		old:   "case o.Witness:\n\t\treturn unknown(14,",
		new:   "case !o.Witness:\n\t\treturn dead(14, \"\"), nil\n\tcase true:\n\t\treturn unknown(14,",
		hunts: "own-boot-no-witness", property: explore.OwnFiles,
		why: "the owner lives, in a container with a boot ID of its own",
	},
	{
		name: "a note is believed whatever it says", file: "note.go",
		old:   "return err == nil && bytes.Equal(note.Data, r.Data)",
		new:   "return err == nil && len(note.Data) > 0",
		hunts: "notes", property: explore.OwnFiles,
		why: "it is of an earlier owner of that level",
	},
	{
		name: "who is unknown is noted to be dead", file: "note.go",
		old:   "if r.state != proc.Dead || r.torn ||",
		new:   "if r.state == proc.Alive || r.torn ||",
		hunts: "notes", property: explore.OwnFiles,
		why: "the owner lives on another machine",
	},
	{
		name: "no notes are made", file: "protocol.go",
		old:   "v.noteDeaths(blocker) // 5.",
		new:   "",
		hunts: "notes", property: explore.NoLockOut,
		why: "each of two machines waits for the other one to remove its dead",
	},
	{
		name: "a note of an earlier owner stays", file: "note.go",
		old:   "if v.noted(r) {\n\t\t\treturn nil\n\t\t}",
		new:   "if true {\n\t\t\treturn nil\n\t\t}",
		hunts: "notes", property: explore.NoLockOut,
		why: "there is no room for a note of the death of the one that is in the way now",
	},
	{
		name: "notes stay", file: "note.go",
		old:   "err = dir.Remove(name)\n\t\t}",
		new:   "err = nil\n\t\t}",
		hunts: "notes", property: explore.Clean,
		why: "nobody else removes them",
	},
	{
		name: "a note that comes too late stays", file: "note.go",
		old:   "unchanged, err := v.unchanged(r); err != nil || unchanged {",
		new:   "unchanged, err := v.unchanged(r); err != nil || unchanged || true {",
		hunts: "notes", property: explore.Clean,
		why: "whoever has removed the level file has swept the notes before",
	},
	{
		name: "what has been made ready keeps its ID", file: "identity.go",
		old:   "if l.ready.id = \"\"; id == \"\" {",
		new:   "if id == \"\" {",
		hunts: "wait-prepared", property: explore.Unique,
		why: "the next record of this process has the same ID",
	},
	{
		name: "a waiter that cannot watch the file waits for the process", file: "watch.go",
		old:   "if w.changed != nil && !w.orphaned {",
		new:   "if !w.orphaned {",
		hunts: "wait-faults", property: explore.NoLostWake,
		why: "the owner unlocks, and lives: nothing wakes the waiter for a long time",
	},
	{
		name: "the watch begins after the last look", file: "watch.go",
		old:   "// among its events.\n\t\tw.watch(b)\n\t\treturn nil\n",
		new:   "// among its events.\n\t\tw.watch(b)\n\t\treturn w.pause(ctx, w.jitter(w.beat), w.changed, w.ended)\n",
		hunts: "wait wait-owners", property: explore.NoLostWake,
		why: "the lock goes from one to another between the look and the beginning of the watch, and the new owner's death wakes nobody",
	},
	{
		name: "a watch covers any owner", file: "watch.go",
		old:   "b.level == w.blocker.level && b.owner.ID == w.blocker.owner.ID",
		new:   "b.level == w.blocker.level",
		hunts: "wait wait-owners", property: explore.NoLostWake,
		why: "the next owner's death wakes nobody",
	},
	{
		name: "a leased file is removed without an if", file: "protocol.go",
		old:   "found, err := fsys.Remove(h.file, name)",
		new:   "found, err := false, errors.ErrUnsupported",
		hunts: "3x1-leases", property: explore.Answers,
		why: "the lease ends after the look: the file is gone by then, or it is the next owner's that is removed",
	},
	{
		name: "a swap that compares nothing", file: "lease.go",
		old:   "return fsys.Swap(v.dir, levelName(0), m.Snapshot, data)",
		new:   "now, err := v.dir.Read(levelName(0))\n\t\tif err != nil {\n\t\t\treturn nil, err\n\t\t}\n\t\treturn fsys.Swap(v.dir, levelName(0), now, data)",
		hunts: "3x1-leases", property: explore.OwnFiles,
		why: "somebody else has taken over from the dead owner since it was judged",
	},
	{
		name: "levels in a store that removes files by itself", file: "protocol.go",
		old:   "if m.leased() {",
		new:   "if false {",
		hunts: "3x1-leases 3x2-leases", property: explore.OwnFiles,
		why: "the lease of the level ends, and another process takes the level",
	},
	{
		name: "the process table judges a leased file", file: "liveness.go",
		old:   "case r.Witness == fsys.Leased:",
		new:   "case false:",
		hunts: "3x1-leases", property: explore.OwnFiles,
		why: "the process is dead, and its lease has not ended: a request of it may be under way",
	},
	{
		name: "what hangs on no lease stays", file: "liveness.go",
		old:   "case r.Witness == fsys.Ended && !r.torn:",
		new:   "case false:",
		hunts: "leases-hosts", property: explore.NoLockOut,
		why: "no lease ends, and nobody here can judge the process",
	},

	// Locks that are shared.
	{
		name: "a reader removes a dead level 0 without a level", file: "shared.go",
		old:   "h, blocker, _, err := v.attempt(ctx, false)",
		new:   "if true {\n\t\treturn nil, look{gone: true}, true, v.dir.Remove(levelName(0))\n\t}\n\th, blocker, _, err := v.attempt(ctx, false)",
		hunts: "shared-3x1-stale", property: explore.OwnFiles,
		why: "somebody else has taken over from the dead owner since it was judged",
	},
	{
		name: "a reader sweeps without owning level 0", file: "shared.go",
		old:   "h, blocker, _, err := v.attempt(ctx, false)",
		new:   "v.sweep(1, nil)\n\th, blocker, _, err := v.attempt(ctx, false)",
		hunts: "shared-3x1-stack shared-4x1-stack", property: explore.OwnFiles,
		why: "whoever takes the removed level may replace level 0 as well",
	},
	{
		name: "TryRLock ignores a live level 0", file: "shared.go",
		old:   "if m.state != proc.Dead {\n\t\treturn nil, m, false, nil\n\t}\n\th, blocker, _, err := v.attempt(ctx, false)",
		new:   "if m.state != proc.Dead {\n\t\t_ = v.dir.Remove(levelName(0))\n\t\treturn nil, m, true, nil\n\t}\n\th, blocker, _, err := v.attempt(ctx, false)",
		hunts: "shared-2x1", property: explore.OwnFiles,
		why: "the owner lives",
	},
	{
		name: "a writer removes the files of readers that live", file: "shared.go",
		old:   "case r.state != proc.Dead:\n\t\t\treturn r, nil\n",
		new:   "",
		hunts: "shared-2x1", property: explore.OwnFiles,
		why: "they hold the lock",
	},
	{
		name: "a writer ignores readers that live, and removes nothing of theirs", file: "shared.go",
		old:   "case r.state != proc.Dead:\n\t\t\treturn r, nil\n",
		new:   "case r.state != proc.Dead:\n",
		hunts: "shared-2x1 shared-3x1", property: "",
		why: "the directory is not empty then, and is not removed: the list decides nothing. " +
			"What goes is the answer, which comes only when all attempts have failed, and names nobody",
	},
	{
		name: "a level 0 that is gone is an answer", file: "protocol.go",
		old:   "return nil, m, err == nil, err\n\t\t}\n\t}\n\tif m.shared",
		new:   "return nil, m, false, err\n\t\t}\n\t}\n\tif m.shared",
		hunts: "shared-2x1-held shared-3x1-held", property: explore.NoFalseHeld,
		why: "it was the directory of the readers, and empty: nobody had the lock",
	},
	{
		name: "RUnlock does not look", file: "shared.go",
		old:   "if err == nil && (place == fsys.Here || place == fsys.Moved) {\n\t\tfound, err = h.removeOurs(h.sub, h.owner.ID)",
		new:   "if err == nil {\n\t\tfound, err = h.removeOurs(h.sub, h.owner.ID)",
		hunts: "shared-meddle shared-2x1", property: "",
		why: "the name of a reader's file is never used again: what has it is that file. The look tells a file that was written to from one that was not",
	},
	{
		name: "RUnlock of a lost lock succeeds", file: "rlock.go",
		old:   "case lost != nil:",
		new:   "case lost != nil && false:",
		hunts: "shared-meddle", property: explore.Answers,
		why: "what the lock protected may have had a writer meanwhile, and nobody is told",
	},
	{
		name: "RUnlock leaves the directory", file: "shared.go",
		old:   "\tif found {\n\t\t_ = fsys.RemoveDir(h.dir, readersName)\n\t}",
		new:   "",
		hunts: "shared-2x1", property: explore.Clean,
		why: "it stays when all have unlocked",
	},
	{
		name: "a reader joins without a look at claims", file: "shared.go",
		old:   "if !v.within {",
		new:   "if false {",
		hunts: "shared-2x1 shared-3x1", property: "",
		why: "claims are advice: they are about who is next, not about who may have the lock",
	},
	{
		name: "a claim of the dead counts", file: "claim.go",
		old:   "claim, err := v.clear(sub, claimsName)",
		new:   "claim, err := v.clear(sub, claimsName)\n\tif claim.in == \"\" {\n\t\tclaim = look{in: claimsName, gone: true}\n\t}",
		hunts: "shared-2x1-claim", property: explore.NoLockOut,
		why: "whoever dies waiting shuts out all readers for good",
	},
	{
		name: "the claim stays", file: "claim.go",
		old:   "if _, err := h.removeFrom(h.sub, h.owner.ID); err == nil {\n\t\t\tbreak\n\t\t}",
		new:   "",
		hunts: "shared-wait", property: explore.NoFailure,
		why: "a process that waits no more keeps all readers out for as long as it lives",
	},
	{
		name: "a reader that was in vain leaves its level 0", file: "shared.go",
		old:   "return nil, look{gone: true}, true, h.withdraw(0)",
		new:   "return nil, look{gone: true}, true, nil",
		hunts: "shared-2x1-stale", property: explore.NoFailure,
		why: "it is in everybody's way, its own as well",
	},
	{
		name: "a waiter for a reader does not watch its file", file: "shared.go",
		old:   "defer sub.Close()\n\treturn fsys.Watch(sub, b.name)",
		new:   "defer sub.Close()\n\treturn make(chan struct{}), func() {}, nil",
		hunts: "shared-wait shared-wait-wait", property: explore.NoLostWake,
		why: "the reader unlocks, and lives: nothing wakes the waiter for a long time",
	},
}

// hunts are the small searches in which mutants are caught, beside those of
// TestExplore.
func hunts() []explore.Config {
	cs := []explore.Config{
		{Name: "3x1", Procs: alike(3, once), Deaths: 2, Start: empty},
		{Name: "classic", Procs: alike(5, once), Deaths: 3, Start: empty, Only: explore.Exclusion},
		{Name: "3x1-no-replace", Rules: explore.Rules{NoReplace: true}, Procs: alike(3, once), Deaths: 2, Start: stacks("-S", 1)},
		{Name: "3x1-stack", Procs: alike(3, once), Deaths: 2, Start: stacks("-ST", 2)},
		{Name: "3x1-own", Procs: alike(3, once), Deaths: 2, Start: stacks("-ST", 2), Only: explore.OwnFiles},
		{Name: "3x2-stack", Procs: alike(3, twice), Deaths: 2, Start: stacks("-S", 1)},
		{Name: "full-stack", Procs: alike(1, once), Start: every},
		{Name: "2x1-faults", Rules: explore.Rules{Faults: true}, Procs: alike(2, once), Deaths: 1, Start: stacks("-S", 0)},
		{Name: "hosts", Rules: explore.Rules{Network: true}, Procs: []explore.Process{on(0, 0, once), on(0, 0, once), on(1, 0, once)}, Deaths: 1, Start: stacks("-S", 1)},
		{Name: "notes", Each: true, Rules: explore.Rules{Network: true}, Procs: []explore.Process{on(0, 0, once), on(0, 0, once), on(1, 0, once), on(1, 0, once)}, Deaths: 2, Start: []string{"SO", "SP", "SM", "SN"}},
		{Name: "containers-faults", Rules: explore.Rules{Witness: true, Faults: true}, Procs: []explore.Process{on(0, 0, once), on(0, 1, once)}, Start: empty},
		{Name: "handles", Procs: []explore.Process{process(once, once)}, Start: empty},
		{Name: "1x1-copy", Rules: witness, Procs: alike(1, once), Start: []string{"C"}},
		{Name: "1x1-reexec", Rules: witness, Procs: alike(1, once), Reexecs: 1, Start: empty},
		{Name: "1x1-flock", Rules: explore.Rules{Witness: true, Meddle: explore.MeddleLock}, Procs: alike(1, once), Deaths: 1, Start: empty},
		{Name: "wait-prepared", Rules: explore.Rules{Events: true, Waits: true, Prepares: true}, Procs: []explore.Process{process(once), process(waiter)}, Deaths: 1, Start: stacks("-S", 1)},
		{Name: "wait-owners", Rules: explore.Rules{Events: true, Waits: true}, Procs: []explore.Process{process(once), process(once), process(waiter)}, Deaths: 1, Start: empty},
	}
	cs = append(cs,
		explore.Config{Name: "3x1-leases", Rules: explore.Rules{Leases: true, Network: true}, Procs: alike(3, once), Deaths: 1, Lapses: 1, Start: []string{"-", "S"}},
		explore.Config{Name: "leases-hosts", Rules: explore.Rules{Leases: true, Network: true}, Procs: []explore.Process{on(1, 0, once)}, Start: []string{"B"}})
	cs = append(cs, sharedHunts()...)
	for i := range cs {
		cs[i].Lone = once
	}
	return append(cs, configs()...)
}

var classicTo = flag.String("explore.classic", "", "write the page of the classic counterexample to this `file`")

var hunted = flag.String("explore.hunt", "", "go through the searches of these names, separated by spaces, and write what is found to the `file` after the last one")

// found is what a mutant's process has found.
type found struct {
	Property string
	Detail   string
	Steps    int
	Drawn    string
	Replay   string
	Searched []string
}

// TestHunt runs in a process of its own, whose code is a mutant.
func TestHunt(t *testing.T) {
	if *hunted == "" {
		t.Skip("only for mutants")
	}
	names := strings.Fields(*hunted)
	out := names[len(names)-1]
	var f found
	for _, name := range names[:len(names)-1] {
		c := named(t, name)
		r := explore.Shortest(&c)
		f.Searched = append(f.Searched, r.String())
		if r.Violation == nil {
			require.True(t, r.Complete)
			continue
		}
		tr, err := r.Violation.Shrink().Trace()
		require.NoError(t, err)
		f.Property, f.Detail, f.Steps, f.Drawn, f.Replay = tr.Property, tr.Detail, len(tr.Steps), tr.String(), tr.Replay
		if *drawTo != "" {
			title, intro := tr.Title(), template.HTML("")
			if name == "classic" {
				title = "Why the second read is needed"
				intro = `Without the <a href="protocol.md">second read</a>, a process takes a level file for stale as soon as its owner is found dead. ` +
					`Of these five processes three die, and in the end TryLock has returned true to two: <a href="counterexample.md">what happens, in words</a>.`
			}
			page(t, tr, title, intro)
		}
		break
	}
	data, err := json.Marshal(f)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(out, data, 0o644))
}

func named(t *testing.T, name string) explore.Config {
	for _, c := range hunts() {
		if c.Name == name {
			return c
		}
	}
	t.Fatalf("there is no search %q", name)
	return explore.Config{}
}

// huntFiles are the files that TestHunt is made of.
var huntFiles = []string{"explore_test.go", "sharedexplore_test.go", "mutant_test.go", "export_test.go", "race_test.go", "norace_test.go"}

// hunt builds a mutant, and returns what the explorer finds in it.
func (m *mutant) hunt(t *testing.T, args ...string) found {
	t.Helper()
	dir := t.TempDir()
	here, err := os.Getwd()
	require.NoError(t, err)
	source, err := os.ReadFile(m.file)
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count(string(source), m.old), "the code has changed: the mutation must be made where it was, or taken out with a reason")
	changed := filepath.Join(dir, m.file)
	require.NoError(t, os.WriteFile(changed, []byte(strings.Replace(string(source), m.old, m.new, 1)), 0o644))
	replace := map[string]string{filepath.Join(here, m.file): changed}
	// All other tests are left out: building them took four times as long as
	// all the rest.
	tests, err := filepath.Glob("*_test.go")
	require.NoError(t, err)
	for _, name := range tests {
		if !slices.Contains(huntFiles, name) {
			replace[filepath.Join(here, name)] = ""
		}
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	require.NoError(t, err)
	list := filepath.Join(dir, "overlay.json")
	require.NoError(t, os.WriteFile(list, overlay, 0o644))

	result := filepath.Join(dir, "found.json")
	args = append([]string{"test", "-vet=off", "-count=1", "-ldflags=-s -w", "-overlay", list, "-run", "^TestHunt$", ".", "-explore.hunt", m.hunts + " " + result}, args...)
	cmd := exec.CommandContext(t.Context(), "go", args...)
	text, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", text)
	data, err := os.ReadFile(result)
	require.NoError(t, err)
	var f found
	require.NoError(t, json.Unmarshal(data, &f))
	return f
}

// TestExploreClassic finds the counterexample of docs/counterexample.md, and
// replays it.
func TestExploreClassic(t *testing.T) {
	if testing.Short() {
		t.Skip("builds this package twice")
	}
	stopIfBroken(t)
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("there is no go command")
	}
	m := mutants[0]
	m.hunts = "classic"
	html := filepath.Join(t.TempDir(), "classic.html")
	if *classicTo != "" {
		html = *classicTo
	}
	f := m.hunt(t, "-explore.html", html)
	assert.Equal(t, explore.Exclusion, f.Property, f.Detail)
	t.Logf("%s", f.Drawn)
	text, err := os.ReadFile(html)
	require.NoError(t, err)
	assert.Contains(t, string(text), "Broken: exclusion")

	// The real code does not do that.
	_, err = explore.Replay(hunts(), f.Replay)
	assert.ErrorIs(t, err, explore.ErrReplay)
	t.Log(err)

	page, err := os.ReadFile("../docs/counterexample.md")
	require.NoError(t, err)
	again := "the page shows another counterexample: make it again, see docs/counterexample.md"
	assert.True(t, strings.Contains(string(page), f.Replay), again)
	for _, ext := range []string{".html", ".svg"} {
		drawn, err := os.ReadFile(strings.TrimSuffix(html, ".html") + ext)
		require.NoError(t, err)
		shown, err := os.ReadFile("../docs/counterexample" + ext)
		require.NoError(t, err)
		assert.True(t, bytes.Equal(drawn, shown), again)
	}
}

var everyMutant = flag.Bool("explore.mutants", false, "break the code once for each mutant, and search for what that breaks: it takes minutes")

func TestExploreMutants(t *testing.T) {
	if !*everyMutant || raceEnabled {
		t.Skip("builds this package many times: run with -explore.mutants")
	}
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("there is no go command")
	}
	stopIfBroken(t)
	var caught atomic.Int32
	t.Cleanup(func() { assert.GreaterOrEqual(t, caught.Load(), int32(40)) })
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			stopIfBroken(t)
			t.Parallel()
			f := m.hunt(t)
			if !assert.Equal(t, m.property, f.Property, "%s\n%s", strings.Join(f.Searched, "\n"), f.Drawn) {
				return
			}
			if f.Property == "" {
				t.Logf("harmless: %s\n%s", m.why, strings.Join(f.Searched, "\n"))
				return
			}
			caught.Add(1)
			t.Logf("%s in %d steps: %s\n%s", f.Property, f.Steps, f.Detail, fmt.Sprint(f.Searched))
			assert.LessOrEqual(t, f.Steps, 30)
			assert.Contains(t, f.Drawn, "step")
		})
	}
}
