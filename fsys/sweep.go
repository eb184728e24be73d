package fsys

// Sweeper is a [Dir] whose [Dir.Create] or [Dir.Replace] goes through temporary
// files that a process can leave behind when it is killed.
type Sweeper interface {
	Dir
	// Sweep removes the temporary files of dead processes. One that belongs
	// to a living process either stays, or its Create succeeds all the same.
	Sweep() error
}

// Sweep asks d if it is a [Sweeper]. If it is not, there is nothing to sweep.
func Sweep(d Dir) error {
	if s, ok := d.(Sweeper); ok {
		return s.Sweep()
	}
	return nil
}
