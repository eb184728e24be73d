package explore

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/dirlock/dirlock/fsys"
	"github.com/dirlock/dirlock/internal/testutil/world"
	"github.com/dirlock/dirlock/proc"
	"github.com/dirlock/dirlock/proc/proctest"
)

// ErrReplay is matched by the error for a replay that does not fit: its version
// or its search is not known, or the code does something else by now.
var ErrReplay = errors.New("the replay does not fit the code")

// version begins every replay string.
const version = "v1"

// letters stand for operations in replay strings.
const letters = ".ecrmdlixpznsabo"

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
	New  bool   // the step has changed it
}

// actors runs the threads of a configuration with the real code in a real,
// though invented, world, in step with the model.
type actors struct {
	m    *model
	s    *state
	w    *world.World
	ps   []*world.Process
	th   []*actor
	tr   *Trace
	name map[string]string // of records
	text []string          // replay
	// Owners that were dead before.
	ghosts []proc.Identity
}

type actor struct {
	p       *Proc
	next    func() (*call, bool)
	stop    func()
	call    *call
	witness func() fsys.Witness // of the first half of a read
	snap    fsys.Snapshot
	records int
	first   []string // marks before the first operation
}

func newActors(cfg *Config, start string) *actors {
	m := newModel(cfg)
	m.literal = true
	a := &actors{m: m, s: m.start(start), w: world.New(), name: map[string]string{}, tr: &Trace{Config: cfg, Start: start}}
	a.w.Network, a.w.NoWitness = cfg.Rules.Network, !cfg.Rules.Witness
	for l, c := range start {
		switch c {
		case StartStale, StartBoot:
			p := a.w.Start("earlier")
			id, _ := p.Table().Self()
			p.Kill()
			if c == StartBoot {
				id.Boot = "earlier"
			}
			data := m.rs.record(id, [16]byte{0xee, byte(l)})
			a.w.Put(levelName(l), data)
			a.name[string(data)] = "stale " + string(rune('a'+l))
			a.ghosts = append(a.ghosts, id)
		case StartTorn:
			a.w.Put(levelName(l), []byte(tornData))
		case StartForeign:
			a.w.Put(levelName(l), []byte(foreignData))
		}
	}
	a.name[tornData], a.name[foreignData] = "torn", "foreign"
	type place struct{ machine, namespace int }
	tables := map[place]*proctest.Fake{{0, 0}: a.w.Procs}
	table := func(machine, namespace int) *proctest.Fake {
		if machine > 0 && tables[place{machine, 0}] == nil {
			tables[place{machine, 0}] = a.w.Procs.Machine(fmt.Sprintf("host%d", machine+1))
		}
		k := place{machine, namespace}
		if tables[k] == nil {
			tables[k] = tables[place{machine, 0}].Container()
		}
		return tables[k]
	}
	for i, p := range cfg.Procs {
		var q *world.Process
		if p.After == 0 {
			q = a.w.Add(table(p.Machine, p.Namespace).Start("prog"))
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

func (a *actors) stop() {
	for _, th := range a.th {
		if th.stop != nil {
			th.stop()
		}
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
		a.ps[pi] = a.w.Add(a.w.Procs.StartPID(before.Table().PID(), "prog"))
	}
	id, _ := a.ps[pi].Table().Self()
	th.p = &Proc{rules: a.m.cfg.Rules, self: id, draws: 1000 * t}
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
		return "owns the lock"
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
	real := a.w.Files()
	for l, f := range a.s.lv {
		data, ok := real[levelName(l)]
		v := FileView{}
		if ok {
			if v.Text = a.name[string(data)]; v.Text == "" {
				v.Text = "?"
			}
			v.Dead = f >= 0 && a.s.ownerDead(a.s.f[f].owner)
		}
		if ok != (f >= 0) {
			panic(fmt.Sprintf("explore: the model and the world differ at L%d", l))
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
	case actMeddle:
		if who >= maxLevels || a.s.lv[who] < 0 {
			return nil, fmt.Errorf("%w: there is no %s to remove", ErrReplay, levelName(who))
		}
		step.Op = "somebody else removes " + levelName(who)
		a.text = append(a.text, fmt.Sprintf("-%d", who))
		a.w.Delete(levelName(who))
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
	step.Fails = x.kind() == actFail || x.kind() == actFailDone
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
			if id, _ := p.Table().Self(); id.PID == c.id.PID && id.Start == c.id.Start && id.Boot == c.id.Boot && id.Namespace == c.id.Namespace {
				who = a.m.threadName(a.m.threadOf(i))
			}
		}
		if c.kind == opProbe {
			return "is " + who + " alive?"
		}
		return "watch process " + who
	case c.kind == opPause:
		return "pause"
	}
	return c.kind.describe(c)
}

// token is a step in a replay string: how, who, what and at which level.
func (a *actors) token(x action, c *call, half bool) string {
	how := map[action]string{actStep: "", actFail: "!", actFailDone: "?", actCancel: "~"}[x.kind()]
	l := ""
	if c.name != "" {
		l = strings.TrimPrefix(c.name, "L")
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
	dir, err := a.ps[a.m.procOf[t]].Dir(world.Path)
	if err != nil {
		panic(err)
	}
	d := dir.(*world.Dir)
	if x.kind() == actFail && !half {
		p.a.err = pathError(c, ErrInjected)
		step.Result = "injected error"
		return true
	}
	switch c.kind {
	case opCreate:
		f, err := d.Create(c.name, c.data)
		if p.a.err = err; err == nil {
			p.a.file = &procFile{p: p, real: f}
			th.records++
			a.name[string(c.data)] = fmt.Sprintf("%s%d", a.m.threadName(t), th.records)
		}
		step.Result = outcome(err, "created")
	case opRead:
		if !half {
			th.snap, th.witness, err = d.Peek(c.name)
			if p.a.err = err; err != nil {
				step.Result = outcome(err, "")
				return true
			}
			step.Result = a.name[string(th.snap.Data)]
			if a.m.cfg.Rules.Witness {
				return false
			}
			p.a.snap = th.snap
			return true
		}
		th.snap.Witness = th.witness()
		if x.kind() == actFail {
			th.snap.Witness = fsys.NoWitness
		}
		step.Result = map[fsys.Witness]string{fsys.Held: "yes", fsys.Free: "no", fsys.NoWitness: "cannot tell"}[th.snap.Witness]
		p.a.snap = th.snap
	case opReplace:
		p.a.err = d.Replace(c.name, c.name2)
		step.Result = outcome(p.a.err, "done")
	case opRemove:
		p.a.err = d.Remove(c.name)
		step.Result = outcome(p.a.err, "done")
	case opList:
		p.a.names, p.a.err = d.List("L")
		step.Result = strings.Join(p.a.names, " ")
		if step.Result == "" {
			step.Result = "nothing"
		}
	case opIntact:
		p.a.yes, p.a.err = c.file.real.Intact(c.name)
		step.Result = map[bool]string{true: "yes", false: "no"}[p.a.yes]
	case opClose:
		p.a.err = c.file.real.Close()
	case opProbe:
		p.a.state, p.a.why = a.ps[a.m.procOf[t]].Table().Probe(c.id)
		step.Result = p.a.state.String()
	case opPause:
		if x.kind() == actCancel {
			p.a.err = ErrInjected
			step.Result = "cancelled"
		}
	case opNotify:
		if _, ok := a.w.Files()[c.name]; !ok {
			p.a.err = pathError(c, fs.ErrNotExist)
			step.Result = "gone"
		}
	case opWitnesses:
		var kind fsys.Witness
		kind, p.a.err = d.Witnesses()
		p.a.yes = kind != fsys.NoWitness
	case opLocal:
		var loc fsys.Location
		loc, p.a.err = d.Locate()
		p.a.yes = loc.Local
	}
	if x.kind() == actFailDone && p.a.err == nil {
		p.a.err = pathError(c, ErrInjected)
		step.Result = "done, but an injected error"
	}
	return true
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
	if v != nil && v.lone {
		a.alone()
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

// alone lets the lone process show what it does after a schedule.
func (a *actors) alone() {
	defer a.m.comeAlone(a.s)()
	t := a.m.lone
	a.ps = append(a.ps, a.w.Start("prog"))
	th := &actor{}
	a.th = append(a.th, th)
	a.tr.Lanes = append(a.tr.Lanes, "a lone process")
	id, _ := a.ps[len(a.ps)-1].Table().Self()
	th.p = &Proc{rules: a.m.cfg.Rules, self: id, draws: 1000 * t}
	th.next, th.stop = start(a.m.cfg.Lone, th.p)
	th.call, _ = th.next()
	a.marks(th)
	for a.m.can(a.s, t) {
		if v, err := a.act(actStep | action(t)); v != nil || err != nil {
			return
		}
		if len(a.tr.Steps[len(a.tr.Steps)-1].Marks) > 0 {
			return
		}
	}
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
	if strings.Trim(parts[2], "-SBTF") != "" || len(parts[2]) > maxLevels {
		return nil, fmt.Errorf("%w: there is no start %q", ErrReplay, parts[2])
	}
	acts, err := parse(parts[3])
	if err != nil {
		return nil, err
	}
	m := newModel(cfg)
	for k, x := range acts {
		if x.kind() != actMeddle && x.who() >= m.nt {
			return nil, fmt.Errorf("%w: step %d: there is no thread %s", ErrReplay, k+1, m.threadName(x.who()))
		}
		if x.kind() == actDie {
			acts[k] = actDie | action(m.procOf[x.who()])
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

// parse reads the steps of a replay string. What the threads did is compared
// after the replay.
func parse(text string) (acts []action, err error) {
	bad := func() ([]action, error) {
		return nil, fmt.Errorf("%w: cannot read it at %q", ErrReplay, cut(text))
	}
	for text != "" {
		kind := actStep
		if i := strings.IndexByte("!?~+^-", text[0]); i >= 0 {
			kind = []action{actFail, actFailDone, actCancel, actDie, actDrop, actMeddle}[i]
			text = text[1:]
		}
		if text == "" {
			return bad()
		}
		c := text[0]
		if kind == actMeddle {
			if c < '0' || c > '7' {
				return bad()
			}
			acts, text = append(acts, kind|action(c-'0')), text[1:]
			continue
		}
		if c < 'A' || c >= 'A'+maxThreads {
			return bad()
		}
		acts, text = append(acts, kind|action(c-'A')), text[1:]
		if kind == actDie || kind == actDrop {
			continue
		}
		if text == "" || text[0] < 'a' || text[0] > 'z' {
			return bad()
		}
		text = text[1:]
		for text != "" && text[0] >= '0' && text[0] <= '9' {
			text = text[1:]
		}
	}
	return acts, nil
}
