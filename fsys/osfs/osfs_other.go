//go:build !unix && !windows

package osfs

import (
	"errors"
	"os"

	"github.com/dirlock/dirlock/fsys"
)

// Plan 9 and WebAssembly have nothing that all promises of a Dir could be built
// on. OS refuses every directory, so that none of these is ever called.
const osSupported = false

type osState struct{}

type osFile struct{ d *osDir }

func (*osFile) intact(string) (bool, error) { return false, errors.ErrUnsupported }
func (*osFile) Close() error                { return errors.ErrUnsupported }

func (d *osDir) create(string, []byte) (*osFile, error) { return nil, errors.ErrUnsupported }
func (d *osDir) replace(string, string) error           { return errors.ErrUnsupported }
func (d *osDir) witnesses() (bool, error)               { return false, errors.ErrUnsupported }
func (d *osDir) isLocal() (bool, error)                 { return false, errors.ErrUnsupported }

func read(string) (fsys.Snapshot, error) { return fsys.Snapshot{}, errors.ErrUnsupported }
func remove(string) error                { return errors.ErrUnsupported }
func sweep(string) error                 { return errors.ErrUnsupported }
func openDir(string) (*os.File, error)   { return nil, errors.ErrUnsupported }
