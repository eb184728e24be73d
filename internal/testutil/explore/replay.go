package explore

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/dirlock/dirlock/fsys"
	"github.com/dirlock/dirlock/fsys/memfs"
	"github.com/dirlock/dirlock/proc"
	"github.com/dirlock/dirlock/proc/proctest"
)

// ErrReplay is matched by the error for a replay that does not fit: its version
// or its search is not known, or the code does something else by now.
var ErrReplay = errors.New("the replay does not fit the code")

// version begins every replay string.
const version = "v1"

// letters stand for operations in replay strings.
const letters = ".ecrmdlixpznsaboqhjktyuKFGJTUVYC"

// Trace is a schedule in which all threads have run the real code, side by
// side, in one world.
type Trace struct {
	Config    *Config
	Start     string
	Property  string // that is broken at the end, or empty
	Detail    string
	Lanes     []string
	Steps     []TraceStep
	Replay    string
	FirstLook []FileView // before the first step
}

// TraceStep is a step of a trace.
type TraceStep struct {
	Lane   int    // thread; of a process that dies, its first one; or none
	Dies   bool   // the process of that thread dies
	Fails  bool   // the operation was made to fail
	Call   string // that begins with this step
	Op     string // "create L1"
	Result string // "exists"
	Marks  []string
	Owns   bool       // the thread holds the lock after the step
	Files  []FileView // after the step, by level
}

// FileView is what stands at a level.
type FileView struct {
	Text string // empty: there is no file
	Dead bool   // its owner is dead
	Gone bool   // … or has let go of it
	New  bool   // the step has changed it
}

// actors runs the threads of a configuration with the real code in a real,
// though invented, world, in step with the model.
type actors struct {
	m    *model
	s    *state
	disk *memfs.Disk
	far  *memfs.Disk // by way of mount 1
	ps   []*proctest.FakeProcess
	th   []*actor
	// tables are those of machines and namespaces.
	tables map[place]*proctest.Fake
	// reading lets a Read that is under way wait for the question for the witness.
	reading  func()
	tr       *Trace
	name     map[string]string // of records
	label    map[string]string // of files in directories
	fileName [maxFiles]string  // of the model's files in directories
	text     []string          // replay
	late     []flight          // that the store has not got yet
	noAnswer bool              // for a request that is made now
	// Owners that were dead before.
	ghosts []proc.Identity
}

type actor struct {
	p       *Proc
	next    func() (*call, bool)
	stop    func()
	call    *call
	finish  func() fsys.Snapshot // the second half of a read
	snap    fsys.Snapshot
	files   []fsys.File
	records int
	starts  int      // of its program
	first   []string // marks before the first operation
}

// dir is the directory that all is about.
const dir = dirPath + "/"

func newActors(cfg *Config, start string) *actors {
	m := newModel(cfg)
	m.literal = true
	a := &actors{m: m, s: m.start(start), disk: memfs.New(dirPath, memfs.NoPrepare()), name: map[string]string{}, label: map[string]string{}, tr: &Trace{Config: cfg, Start: start}}
	kind := fsys.NoWitness
	if cfg.Rules.Witness {
		kind = m.vouches()
	}
	a.disk.Set(memfs.Witness(kind))
	if cfg.Rules.Network {
		a.disk.Set(memfs.Network())
	}
	if cfg.Rules.Leases {
		a.disk.Set(memfs.Leased())
	}
	if a.far = a.disk; cfg.Rules.Views {
		a.far = a.disk.Mount()
	}
	a.disk.Before(func(op memfs.Op) error {
		if op.Name == "witness" {
			a.reading()
		}
		if a.noAnswer {
			return memfs.ButLater(ErrInjected)
		}
		return nil
	})
	a.tables = map[place]*proctest.Fake{{}: proctest.NewFake()}
	for l, c := range start {
		switch c {
		case StartStale, StartBoot, StartCopy, StartMoved, StartOther, StartNoted, StartOld:
			p := a.table(max(a.m.where(int(a.s.f[l].owner)).Machine, 0), 0).Start("earlier")
			id, _ := p.Self()
			text := "stale "
			if c == StartCopy || c == StartMoved {
				text = "copy "
			} else {
				p.Kill()
			}
			if c == StartBoot {
				id.Boot = "earlier"
			}
			owner := int(a.s.f[l].owner)
			data := m.rs.record(id, facts{cfg.Rules.Network, mountOf(m.where(owner))}, [16]byte{0xee, byte(l)})
			a.disk.Put(dir+levelName(l), data)
			switch c {
			case StartNoted:
				a.disk.Put(dir+levelName(l)+noteSuffix, data)
			case StartOld:
				a.disk.Put(dir+levelName(l)+noteSuffix, []byte(oldNote))
			}
			a.name[string(data)] = text + string(rune('a'+l))
			a.ghosts = append(a.ghosts, id)
		case StartNote:
			a.disk.Put(dir+levelName(l)+noteSuffix, []byte(oldNote))
		case StartEmpty, StartReader, StartClaim:
			a.startSub(l, c)
		case StartTorn:
			a.disk.Put(dir+levelName(l), []byte(tornData))
		case StartForeign:
			a.disk.Put(dir+levelName(l), []byte(foreignData))
		}
	}
	a.name[tornData], a.name[foreignData] = "torn", "foreign"
	for i, p := range cfg.Procs {
		var q *proctest.FakeProcess
		if p.After == 0 {
			q = a.table(p.Machine, p.Namespace).Start("prog")
		}
		a.ps = append(a.ps, q)
		for h := range p.Threads {
			name := m.threadName(len(a.th))
			if len(p.Threads) > 1 {
				name += fmt.Sprintf(" (process %d, handle %d)", i+1, h+1)
			}
			a.tr.Lanes = append(a.tr.Lanes, name)
			a.th = append(a.th, &actor{})
		}
	}
	a.tr.FirstLook = a.files(nil)
	return a
}

// table is that of a namespace of a machine.
func (a *actors) table(machine, namespace int) *proctest.Fake {
	host, at := place{machine, 0}, place{machine, namespace}
	if a.tables[host] == nil {
		a.tables[host] = a.tables[place{}].Machine(fmt.Sprintf("host%d", machine+1))
	}
	if a.tables[at] == nil {
		a.tables[at] = a.tables[host].Container()
	}
	return a.tables[at]
}

type place struct{ machine, namespace int }

func mountOf(p Process) string {
	if p.Mount > 0 {
		return otherMount
	}
	return ownMount
}

// container is the boot ID of a container that has one of its own.
const container = "/container"

// identity is who a process takes itself for.
func (a *actors) identity(p int, q *proctest.FakeProcess) proc.Identity {
	id, _ := q.Self()
	if n := a.m.where(p).Boot; n > 0 {
		id.Boot += container + string(rune('0'+n))
	}
	return id
}

// dir returns the directory as a process sees it.
func (a *actors) dir(p int) fsys.Dir {
	disk := a.disk
	if a.m.where(p).Mount > 0 {
		disk = a.far
	}
	d, err := disk.As(a.ps[p]).Dir(dirPath)
	if err != nil {
		panic(err)
	}
	return d
}

func (a *actors) stop() {
	for _, th := range a.th {
		th.end()
	}
}

// end stops the program.
func (th *actor) end() {
	if th.stop != nil {
		th.stop()
	}
}

// begin starts the program of a thread, up to its first operation.
func (a *actors) begin(t int) {
	th := a.th[t]
	if th.p != nil {
		return // the lone one always has
	}
	pi := a.m.procOf[t]
	if a.ps[pi] == nil {
		before := a.ps[a.m.cfg.Procs[pi].After-1]
		a.ps[pi] = a.table(0, 0).StartPID(before.PID(), "prog")
	}
	th.starts++
	th.p = &Proc{rules: a.m.cfg.Rules, self: a.identity(pi, a.ps[pi]), mount: mountOf(a.m.where(pi)), draws: 1000*t + 100*th.starts}
	k := t - a.m.threadOf(pi)
	th.next, th.stop = start(a.m.cfg.Procs[pi].Threads[k], th.p)
	th.call, _ = th.next()
	th.first = a.marks(th)
}

func (a *actors) marks(th *actor) (out []string) {
	for _, k := range th.p.marks {
		if text := k.String(); text != "" {
			out = append(out, text)
		}
	}
	th.p.marks = th.p.marks[:0]
	return out
}

// String says what a program tells of itself.
func (k mark) String() string {
	switch k.kind {
	case markAcquired:
		return "acquired"
	case markRefused:
		return "false"
	case markFailed, markError:
		return "error"
	case markReleased:
		return "released"
	case markLost:
		return "lock lost"
	case markNothing:
		return ""
	case markWrong:
		return k.text
	}
	return ""
}

// files looks at the world.
func (a *actors) files(before []FileView) []FileView {
	var out []FileView
	real := a.disk.Entries(dirPath)
	for l, f := range a.s.lv {
		entry, ok := real[levelName(l)]
		v := FileView{}
		if ok {
			if v.Text = a.name[entry.Data]; v.Text == "" {
				v.Text = "?"
			}
			v.Dead = f >= 0 && a.s.ownerDead(a.s.f[f].owner)
			v.Gone = f >= 0 && a.s.gone(&a.s.f[f])
		}
		if entry.Mode.IsDir() {
			if l == 0 && a.s.dirs[0] && f < 0 {
				out = append(out, a.readers(before))
				continue
			}
			panic("explore: there is a directory in the world, and none in the model")
		}
		if l == 0 && a.s.dirs[0] {
			panic("explore: there is a directory in the model, and none in the world")
		}
		if ok != (f >= 0) {
			panic(fmt.Sprintf("explore: the model and the world differ at L%d", l))
		}
		if _, noted := real[levelName(l)+noteSuffix]; noted != (a.s.note[l] != none) {
			panic(fmt.Sprintf("explore: the model and the world differ at the note of L%d", l))
		}
		v.New = before != nil && before[l].Text != v.Text
		out = append(out, v)
	}
	return out
}

// act lets something happen, in the model and in the world.
func (a *actors) act(x action) (v *violation, err error) {
	step := TraceStep{Lane: none}
	before := a.tr.FirstLook
	if n := len(a.tr.Steps); n > 0 {
		before = a.tr.Steps[n-1].Files
	}
	switch who := x.who(); x.kind() {
	case actDie:
		if who >= a.m.np || a.s.dead>>who&1 != 0 {
			return nil, fmt.Errorf("%w: there is no process to die", ErrReplay)
		}
		t := a.m.threadOf(who)
		step.Lane, step.Dies, step.Op = t, true, "dies"
		a.text = append(a.text, "+"+a.m.threadName(t))
		if a.ps[who] != nil {
			a.ps[who].Kill()
		}
		v = a.m.apply(a.s, x)
	case actMeddle, actAway, actBack, actTruncate, actFlock, actCopy, actReexec, actExport:
		if err := a.outside(x, &step); err != nil {
			return nil, err
		}
		v = a.m.apply(a.s, x)
	case actLapse, actEnd, actArrive, actDieLate:
		if x.kind() == actDieLate && who >= a.m.np {
			return nil, fmt.Errorf("%w: there is no process to die", ErrReplay)
		}
		if err := a.storeAct(x, &step); err != nil {
			return nil, err
		}
		v = a.m.apply(a.s, x)
	case actDrop:
		step.Lane, step.Op = who, "its events are lost"
		a.text = append(a.text, "^"+a.m.threadName(who))
		v = a.m.apply(a.s, x)
	default:
		if who >= a.m.nt || !a.m.can(a.s, who) {
			return nil, fmt.Errorf("%w: %s has no step to take", ErrReplay, a.m.threadName(who))
		}
		v, err = a.step(x, &step)
		if err != nil {
			return nil, err
		}
	}
	step.Files = a.files(before)
	if step.Lane >= 0 {
		step.Owns = a.s.t[step.Lane].hold >= 0
	}
	a.tr.Steps = append(a.tr.Steps, step)
	return v, nil
}

// step lets a thread do its next operation.
func (a *actors) step(x action, step *TraceStep) (*violation, error) {
	t := x.who()
	th := a.th[t]
	a.begin(t)
	step.Lane = t
	step.Fails = x.kind() == actFail || x.kind() == actFailDone || x.kind() == actLate
	n := a.m.node(a.s, t)
	half := a.s.t[t].half != 0
	if got := th.call.kind; got != n.op.kind {
		panic(fmt.Sprintf("explore: the code is not deterministic: %s does %s, and was known to do %s", a.m.threadName(t), opNames[got], opNames[n.op.kind]))
	}
	if a.m.idle(a.s, t) {
		step.Call = n.call
	}
	step.Marks = append(step.Marks, th.first...)
	th.first = nil
	step.Op = a.describe(th, half)
	a.text = append(a.text, a.token(x, th.call, half))
	done := a.do(t, th, x, half, step)
	v := a.m.apply(a.s, x)
	if done {
		th.call, _ = th.next()
		step.Marks = append(step.Marks, a.marks(th)...)
		if got, want := th.call.kind, a.m.node(a.s, t).op.kind; v == nil && got != want {
			panic(fmt.Sprintf("explore: after %q, %s does %s in the world and %s in the model\n%s", step.Op, a.m.threadName(t), opNames[got], opNames[want], a.tr))
		}
	}
	return v, nil
}

func (k callKind) describe(c *call) string {
	switch k {
	case opReplace:
		return "rename " + c.name + " to " + c.name2
	case opIntact:
		return "is " + c.name + " mine?"
	case opRemoveIf:
		return "remove " + c.name + " if it is mine"
	case opList:
		return "list"
	case opNotify:
		return "watch " + c.name
	}
	return strings.TrimSpace(opNames[k] + " " + c.name)
}

func (a *actors) describe(th *actor, half bool) string {
	c := th.call
	switch {
	case half:
		return "does its owner have it open?"
	case c.kind == opProbe || c.kind == opNotifyP:
		who := "a process"
		for _, id := range a.ghosts {
			if id.PID == c.id.PID && id.Start == c.id.Start {
				who = "its owner"
			}
		}
		for i, p := range a.ps {
			if p == nil {
				continue
			}
			if id := a.identity(i, p); id.PID == c.id.PID && id.Start == c.id.Start && id.Boot == c.id.Boot && id.Namespace == c.id.Namespace {
				who = a.m.threadName(a.m.threadOf(i))
			}
		}
		if c.kind == opProbe {
			return "is " + who + " alive?"
		}
		return "watch process " + who
	case c.kind == opHolds:
		return "do I hold it?"
	case c.kind == opPause:
		return "pause"
	case c.kind == opIntact && a.label[c.name] != "":
		return "is " + a.brief(c.name) + " mine?"
	case c.sub != nil:
		return strings.TrimSpace(opNames[c.kind] + " " + c.name + "/" + a.brief(c.name2))
	}
	return c.kind.describe(c)
}

// token is a step in a replay string: how, who, what and at which level.
func (a *actors) token(x action, c *call, half bool) string {
	how := map[action]string{actOther: "\\" + string(rune('0'+x.variant())), actStep: "", actFail: "!", actFailDone: "?", actCancel: "~", actLie: "$", actLate: "/"}[x.kind()]
	l := ""
	if c.name != "" {
		l = strings.TrimSuffix(strings.TrimPrefix(c.name, "L"), noteSuffix)
	}
	switch {
	case l == "W":
		l = "9"
	case len(l) > 2: // the ID of a file of its own
		l = ""
	}
	k := letters[c.kind]
	if half {
		k = 'w'
	}
	return how + a.m.threadName(x.who()) + string(k) + l
}

// do carries out an operation in the world. It returns false after the first
// half of a read.
func (a *actors) do(t int, th *actor, x action, half bool, step *TraceStep) bool {
	c := th.call
	p := th.p
	p.a = answer{}
	pi := a.m.procOf[t]
	d := a.dir(pi)
	if x.kind() == actFail && !half {
		p.a.err = pathError(c, ErrInjected)
		step.Result = "injected error"
		return true
	}
	if x.kind() == actLate {
		p.a.err = a.send(t)
		step.Result = "no answer"
		return true
	}
	switch c.kind {
	case opSwap:
		f, err := fsys.Swap(d, c.name, c.old, c.data)
		if p.a.err = err; err == nil {
			p.a.file = &procFile{p: p, real: f}
			th.files = append(th.files, f)
			th.records++
			a.name[string(c.data)] = fmt.Sprintf("%s%d", a.m.threadName(t), th.records)
		}
		step.Result = outcome(err, "done")
	case opRemoveIf:
		p.a.yes, p.a.err = fsys.Remove(c.file.real, c.name)
		step.Result = map[bool]string{true: "done", false: "it is not"}[p.a.yes]
	case opCreate:
		name := c.name
		if x.kind() == actLie {
			name = "elsewhere"
		}
		f, err := d.Create(name, c.data)
		if p.a.err = err; err == nil {
			p.a.file = &procFile{p: p, real: f}
			th.files = append(th.files, f)
			th.records++
			a.name[string(c.data)] = fmt.Sprintf("%s%d", a.m.threadName(t), th.records)
		}
		step.Result = outcome(err, "created")
		switch x.kind() {
		case actLie:
			a.disk.Remove(dir + name)
			step.Result = "created, says the system"
		case actFailDone:
			_ = f.Close()
		}
	case opRead:
		if !half {
			step.Result = a.name[a.disk.Entries(dirPath)[c.name].Data]
			th.snap, th.finish, p.a.err = a.read(d, c.name)
			if p.a.err != nil {
				step.Result = outcome(p.a.err, "")
			}
			p.a.snap = th.snap
			return th.finish == nil
		}
		th.snap = th.finish()
		if x.kind() == actFail {
			th.snap.Witness = fsys.NoWitness
		}
		step.Result = map[fsys.Witness]string{fsys.Held: "yes", fsys.HeldWeakly: "somebody has a lock on it", fsys.Free: "no", fsys.NoWitness: "cannot tell"}[th.snap.Witness]
		p.a.snap = th.snap
	case opNote:
		f, err := d.Create(c.name, c.data)
		if p.a.err = err; err == nil {
			_ = f.Close()
		}
		step.Result = outcome(err, "of "+a.name[string(c.data)])
	case opHear:
		a.reading = func() {}
		p.a.snap, p.a.err = d.Read(c.name)
		step.Result = outcome(p.a.err, "of "+a.name[string(p.a.snap.Data)])
	case opForget:
		p.a.err = d.Remove(c.name)
		step.Result = outcome(p.a.err, "done")
	case opReplace:
		p.a.err = d.Replace(c.name, c.name2)
		step.Result = outcome(p.a.err, "done")
	case opRemove:
		p.a.err = d.Remove(c.name)
		step.Result = outcome(p.a.err, "done")
	case opList:
		p.a.names, p.a.err = d.List("L")
		slices.Sort(p.a.names)
		step.Result = strings.Join(p.a.names, " ")
		if step.Result == "" {
			step.Result = "nothing"
		}
	case opChoose:
		p.a.yes = x.variant() == 0
		step.Result = map[bool]string{true: "yes", false: "no"}[p.a.yes]
	case opIntact:
		p.a.yes, p.a.err = c.file.real.Intact(c.name)
		step.Result = map[bool]string{true: "yes", false: "no"}[p.a.yes]
	case opClose:
		if n := a.m.node(a.s, t); a.m.cfg.Rules.Leases && a.s.f[a.s.t[t].b[n.op.a]].level >= 0 {
			break // the store removes it when its lease ends
		}
		p.a.err = c.file.real.Close()
	case opProbe:
		id := c.id
		id.Boot, _, _ = strings.Cut(id.Boot, container)
		p.a.state, p.a.why = a.ps[pi].Probe(id)
		step.Result = p.a.state.String()
	case opMkdir, opOpenSub, opRmdir, opListSub, opCreateSub, opReadSub, opRemoveSub, opNotifySub:
		return a.doSub(t, th, x, half, step)
	case opPause:
		if x.kind() == actCancel {
			p.a.err = ErrInjected
			step.Result = "cancelled"
		}
	case opNotify:
		if _, ok := a.disk.Entries(dirPath)[c.name]; !ok {
			p.a.err = pathError(c, fs.ErrNotExist)
			step.Result = "gone"
		}
	case opHolds:
		p.a.yes = a.m.holds(a.s, pi, a.s.t[t].b[a.m.node(a.s, t).op.a])
		step.Result = map[bool]string{true: "yes", false: "no"}[p.a.yes]
	case opWitnesses:
		var kind fsys.Witness
		kind, p.a.err = fsys.Witnesses(d)
		p.a.yes = kind != fsys.NoWitness
	case opLocal:
		var loc fsys.Location
		loc, p.a.err = fsys.Locate(d)
		p.a.yes = loc.Local
	}
	if x.kind() == actFailDone && p.a.err == nil {
		p.a.err = pathError(c, ErrInjected)
		step.Result = "done, but an injected error"
	}
	return true
}

// read reads a file as far as to its data. Finish asks for the witness; it is nil
// if there is none.
func (a *actors) read(d fsys.Dir, name string) (s fsys.Snapshot, finish func() fsys.Snapshot, err error) {
	next, stop := iter.Pull(func(yield func(bool) bool) {
		a.reading = func() { yield(true) }
		s, err = d.Read(name)
	})
	if _, waits := next(); !waits {
		stop()
		return s, nil, err
	}
	return s, func() fsys.Snapshot { next(); stop(); return s }, nil
}

func outcome(err error, ok string) string {
	switch {
	case err == nil:
		return ok
	case errors.Is(err, fs.ErrExist):
		return "exists"
	case errors.Is(err, fs.ErrNotExist):
		return "gone"
	}
	return err.Error()
}

// play runs a literal schedule with the real code.
func play(cfg *Config, start string, acts []action) (*Trace, error) {
	a := newActors(cfg, start)
	defer a.stop()
	v := a.m.inspect(a.s)
	for i, x := range acts {
		if v != nil {
			return nil, fmt.Errorf("%w: the schedule goes on after the violation of %q in step %d", ErrReplay, v.property, i)
		}
		var err error
		if v, err = a.act(x); err != nil {
			return nil, fmt.Errorf("step %d: %w", i+1, err)
		}
		if v == nil {
			v = a.m.inspect(a.s)
		}
	}
	if v != nil {
		a.tr.Property, a.tr.Detail = v.property, v.detail
	}
	text := strings.Join(a.text, "")
	if v != nil && v.lone != nil {
		a.alone(v.lone)
	}
	a.tr.Replay = strings.Join([]string{version, cfg.Name, start, text}, ":")
	return a.tr, nil
}

// Walk runs the real code along a schedule that rand makes up, of at most so
// many steps, in the model and in the world. It panics where the two differ.
func Walk(cfg *Config, rand *rand.Rand, steps int) (*Trace, error) {
	dir := cfg.Start[rand.IntN(len(cfg.Start))]
	a := newActors(cfg, dir)
	defer a.stop()
	v := a.m.inspect(a.s)
	for range steps {
		acts := a.m.actions(a.s, nil)
		if len(acts) == 0 || v != nil {
			break
		}
		// Deaths and failures are many, and would come too soon.
		x := acts[rand.IntN(len(acts))]
		if x.kind() != actStep && rand.IntN(4) > 0 {
			continue
		}
		var err error
		if v, err = a.act(x); err != nil {
			return nil, err
		}
	}
	if v != nil {
		a.tr.Property, a.tr.Detail = v.property, v.detail
	}
	a.tr.Replay = strings.Join([]string{version, cfg.Name, dir, strings.Join(a.text, "")}, ":")
	return a.tr, nil
}

// alone lets a lone process show what it does after a schedule: on each machine
// in turn, if that was asked.
func (a *actors) alone(prog *Program) {
	defer func() { a.m.loneOn = 0 }()
	machines := a.m.loneMachines()
	if prog != a.m.cfg.Lone {
		machines = machines[:1]
	}
	for _, a.m.loneOn = range machines {
		if !a.comeAlone(prog) {
			return
		}
	}
}

// comeAlone lets a lone process come, and returns false if it breaks something.
func (a *actors) comeAlone(prog *Program) bool {
	defer a.m.comeAlone(a.s, prog)()
	t, pi := a.m.lone, a.m.np
	a.ps = append(a.ps[:pi], a.table(a.m.loneOn, 0).Start("prog"))
	th := &actor{starts: 1}
	a.th = append(a.th, th)
	th, a.th[t] = a.th[t], th
	th.end()
	th = a.th[t]
	if a.m.cfg.Each {
		a.tr.Lanes = append(a.tr.Lanes[:t], "a lone process of each machine")
	} else {
		a.tr.Lanes = append(a.tr.Lanes, "a lone process")
	}
	id, _ := a.ps[pi].Self()
	th.p = &Proc{rules: a.m.cfg.Rules, self: id, mount: ownMount, draws: 1000*t + 100*a.m.loneOn}
	th.next, th.stop = start(prog, th.p)
	th.call, _ = th.next()
	a.marks(th)
	for a.m.can(a.s, t) {
		if v, err := a.act(actStep | action(t)); v != nil || err != nil {
			return false
		}
		if len(a.tr.Steps[len(a.tr.Steps)-1].Marks) > 0 && prog == a.m.cfg.Lone {
			break
		}
	}
	return true
}

// Trace runs the schedule of the violation with the real code, all threads side
// by side.
func (v *Violation) Trace() (*Trace, error) {
	tr, err := play(v.config, v.start, v.literal())
	if err == nil && tr.Property == "" {
		err = fmt.Errorf("explore: the model breaks %q, and the world does not", v.Property)
	}
	return tr, err
}

// literal returns the schedule with all silent steps.
func (v *Violation) literal() []action {
	if v.exact {
		return v.acts
	}
	m := newModel(v.config)
	s := m.start(v.start)
	var out []action
	if m.settle(s, &out) != nil {
		return out
	}
	for _, x := range v.acts {
		out = append(out, x)
		if m.apply(s, x) != nil || m.settle(s, &out) != nil {
			break
		}
	}
	return out
}

// Replay runs the schedule of a replay string with the real code. The search
// that the string names must be one of cfgs. If the string does not fit the
// code any more, the error matches [ErrReplay].
func Replay(cfgs []Config, text string) (*Trace, error) {
	parts := strings.SplitN(text, ":", 4)
	if len(parts) != 4 || parts[0] != version {
		return nil, fmt.Errorf("%w: it is not of version %s", ErrReplay, version)
	}
	i := slices.IndexFunc(cfgs, func(c Config) bool { return c.Name == parts[1] })
	if i < 0 {
		return nil, fmt.Errorf("%w: there is no search %q", ErrReplay, parts[1])
	}
	cfg := &cfgs[i]
	if strings.Trim(parts[2], StartKinds) != "" || len(parts[2]) > maxLevels {
		return nil, fmt.Errorf("%w: there is no start %q", ErrReplay, parts[2])
	}
	acts, err := parse(parts[3])
	if err != nil {
		return nil, err
	}
	m := newModel(cfg)
	for k, x := range acts {
		byThread := x.kind() == actDie || x.kind() == actDieLate || x.kind() == actReexec
		if (x.ofThread() || byThread) && x.who() >= m.nt {
			return nil, fmt.Errorf("%w: step %d: there is no thread %s", ErrReplay, k+1, m.threadName(x.who()))
		}
		if byThread {
			acts[k] = x.kind() | action(m.procOf[x.who()])
		}
	}
	tr, err := play(cfg, parts[2], acts)
	if err != nil {
		return nil, err
	}
	// What each step did must be what it did then.
	if tr.Replay != text {
		got := tr.Replay[strings.LastIndex(tr.Replay, ":")+1:]
		k := 0
		for k < len(got) && k < len(parts[3]) && got[k] == parts[3][k] {
			k++
		}
		return nil, fmt.Errorf("%w: it goes on %q, and the code %q", ErrReplay, cut(parts[3][k:]), cut(got[k:]))
	}
	return tr, nil
}

func cut(s string) string {
	if len(s) > 12 {
		return s[:12] + "…"
	}
	return s
}

// What stands in front of steps in a replay string, if they are not just the next
// operation of a thread.
const kindMarks = "!?~+^-<>%&=*@$/#{}]\\"

var markedKinds = []action{actFail, actFailDone, actCancel, actDie, actDrop, actMeddle, actAway, actBack, actTruncate, actFlock, actCopy, actReexec, actExport, actLie, actLate, actDieLate, actArrive, actLapse, actEnd, actOther}

// parse reads the steps of a replay string. What the threads did is compared
// after the replay.
func parse(text string) (acts []action, err error) {
	bad := func() ([]action, error) {
		return nil, fmt.Errorf("%w: cannot read it at %q", ErrReplay, cut(text))
	}
	for text != "" {
		kind := actStep
		if i := strings.IndexByte(kindMarks, text[0]); i >= 0 {
			kind = markedKinds[i]
			text = text[1:]
		}
		if kind == actExport {
			acts = append(acts, kind)
			continue
		}
		if text == "" {
			return bad()
		}
		c := text[0]
		variant := action(0)
		if kind == actOther {
			if variant, text = action(c-'0'), text[1:]; c < '0' || variant > 31 || text == "" {
				return bad()
			}
			c = text[0]
		}
		switch kind {
		case actMeddle, actAway, actBack, actTruncate, actFlock, actCopy, actArrive, actLapse, actEnd:
			n, digits := action(0), 1
			if kind == actCopy {
				digits = 2
			}
			for range digits {
				if text == "" || text[0] < '0' || text[0] > '7' {
					return bad()
				}
				n, text = n<<4|action(text[0]-'0'), text[1:]
			}
			acts = append(acts, kind|n)
			continue
		}
		if c < 'A' || c >= 'A'+maxThreads {
			return bad()
		}
		acts, text = append(acts, kind|variant<<3|action(c-'A')), text[1:]
		if kind == actDie || kind == actDieLate || kind == actDrop || kind == actReexec {
			continue
		}
		if text == "" || (text[0]|0x20) < 'a' || (text[0]|0x20) > 'z' {
			return bad()
		}
		text = text[1:]
		for text != "" && text[0] >= '0' && text[0] <= '9' {
			text = text[1:]
		}
	}
	return acts, nil
}
