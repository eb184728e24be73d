package lock

// How often a watched lock is checked, with events and without.
const (
	LossBeat = lossBeat
	LossPoll = lossPoll
)
