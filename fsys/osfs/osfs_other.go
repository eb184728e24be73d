//go:build !unix && !windows

package osfs

import (
	"errors"
	"os"

	"github.com/dirlock/dirlock/fsys"
)

// Plan 9 and WebAssembly have nothing that all promises of a Dir could be built
// on. New refuses every directory, so that none of these is ever called.
const (
	supported = false
	held      = false
)

type handle struct{}

func (handle) close() error { return nil }

func newDir(string) (fsys.Dir, error) { return nil, errors.ErrUnsupported }

type osFile struct{ d *dir }

func (*osFile) intactIn(*dir, string) (bool, error) { return false, errors.ErrUnsupported }
func (*osFile) Close() error                        { return errors.ErrUnsupported }

func (d *dir) create(string, []byte) (*osFile, error)   { return nil, errors.ErrUnsupported }
func (d *dir) read(string) (s fsys.Snapshot, err error) { return s, errors.ErrUnsupported }
func (d *dir) replace(string, string) error             { return errors.ErrUnsupported }
func (d *dir) remove(string) error                      { return errors.ErrUnsupported }
func (d *dir) entries() (*os.File, error)               { return nil, errors.ErrUnsupported }
func (d *dir) witnesses() (fsys.Witness, error)         { return 0, errors.ErrUnsupported }
func (d *dir) locate() (facts, error)                   { return facts{}, errors.ErrUnsupported }
func (d *dir) sweepFile(string) error                   { return errors.ErrUnsupported }

func (d *dir) makeDir(string) error                  { return errors.ErrUnsupported }
func (d *dir) openDir(string) (*dir, error)          { return nil, errors.ErrUnsupported }
func (d *dir) removeDir(string) error                { return errors.ErrUnsupported }
func (d *dir) stillNamed(string, *dir) (bool, error) { return false, errors.ErrUnsupported }
func missingDir(err error) error                     { return err }
