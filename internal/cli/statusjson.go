package cli

import (
	"time"

	"github.com/dirlock/dirlock/lock"
)

// jsonStatus is the JSON of one directory. Fields may be added, but what is
// there keeps its name and meaning.
type jsonStatus struct {
	Dir     string      `json:"dir"`
	State   string      `json:"state"`
	Error   string      `json:"error,omitempty"`
	Hint    string      `json:"hint,omitempty"`
	Levels  []jsonLevel `json:"levels"`
	Readers []jsonLevel `json:"readers"`
	Waiting []jsonLevel `json:"waiting"`
}

type jsonLevel struct {
	Level  int        `json:"level"`
	Path   string     `json:"path"`
	State  string     `json:"state"`
	Reason string     `json:"reason"`
	Owner  *jsonOwner `json:"owner"`
}

type jsonOwner struct {
	ID        string    `json:"id"`
	PID       int       `json:"pid"`
	Host      string    `json:"host"`
	Command   string    `json:"command"`
	Workers   []int     `json:"command_pids"`
	User      string    `json:"user"`
	Label     string    `json:"label"`
	Since     time.Time `json:"since"`
	Age       float64   `json:"age_seconds"`
	Start     string    `json:"start"`
	Boot      string    `json:"boot"`
	Namespace string    `json:"namespace"`
	Witness   bool      `json:"witness"`
	Elsewhere bool      `json:"other_namespace"`
}

func toJSON(s lock.Status, now time.Time) jsonStatus {
	st, _ := s.State()
	j := jsonStatus{Dir: s.Dir, State: st.String()}
	j.Levels, j.Readers, j.Waiting = jsonLevels(s.Levels, now), jsonLevels(s.Readers, now), jsonLevels(s.Waiting, now)
	return j
}

func jsonLevels(levels []lock.Level, now time.Time) []jsonLevel {
	all := []jsonLevel{}
	for _, level := range levels {
		l := jsonLevel{Level: level.N, Path: level.Path, State: levelState(level), Reason: level.Reason}
		if o := level.Owner; o.ID != "" {
			l.Owner = &jsonOwner{
				ID: o.ID, PID: o.PID, Host: o.Host, Command: o.Command,
				Workers: append([]int{}, workers(level)...), User: o.User, Label: o.Label,
				Since: o.Since.UTC(), Age: age(o, now).Round(time.Millisecond).Seconds(),
				Start: o.Start, Boot: o.Boot, Namespace: o.Namespace, Witness: o.Witness, Elsewhere: !countsHere(o),
			}
		}
		all = append(all, l)
	}
	return all
}
