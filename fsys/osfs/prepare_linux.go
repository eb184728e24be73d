package osfs

import (
	"errors"
	"io/fs"

	"github.com/dirlock/dirlock/fsys"
)

var (
	_ fsys.Preparer = (*dir)(nil)
	_ fsys.Preparer = (*named)(nil)
)

// Prepare makes an unnamed file that lacks nothing but the right data and the
// name. Only Linux has such files; a temporary one would be seen, and could stay.
func (d *dir) Prepare(size int) (fsys.Prepared, error) {
	f, err := d.prepare(size)
	if err == errMissing {
		err = errors.ErrUnsupported
	}
	if err != nil {
		return nil, pathError("prepare", d.path, err)
	}
	return &osPrepared{f}, nil
}

func (d *dir) prepare(size int) (*osFile, error) {
	if err := d.begin(); err != nil {
		return nil, err
	}
	defer d.end()
	a, err := d.abilities()
	if err != nil {
		return nil, err
	}
	if _, err := d.witnesses(); err != nil {
		return nil, err
	}
	if a.way.Load() != byUnnamed {
		return nil, errors.ErrUnsupported
	}
	return d.unnamed(make([]byte, min(max(size, 0), fsys.MaxData)))
}

func (n *named) Prepare(size int) (fsys.Prepared, error) {
	return in(n, "prepare", n.path, func(d *dir) (fsys.Prepared, error) { return d.Prepare(size) })
}

type osPrepared struct {
	f *osFile // nil when it is used up
}

func (p *osPrepared) CreateIn(where fsys.Dir, name string, data []byte) (fsys.File, error) {
	switch d := where.(type) {
	case *dir:
		return p.createIn(d, name, data)
	case *named:
		return in(d, "create", d.prefix+name, func(open *dir) (fsys.File, error) {
			f, err := p.createIn(open, name, data)
			if err != nil {
				return nil, err
			}
			return &namedFile{f.(*osFile), d}, nil
		})
	}
	_ = p.Close()
	return where.Create(name, data)
}

func (p *osPrepared) createIn(d *dir, name string, data []byte) (fsys.File, error) {
	if p.f != nil && validName(name) && len(data) <= fsys.MaxData {
		err := p.publish(d, name, data)
		switch {
		case err == nil:
			f := p.f
			p.f, f.d = nil, d
			return f, nil
		case errors.Is(err, fs.ErrExist):
			return nil, pathError("create", d.prefix+name, err)
		}
	}
	// It is of no use: it cannot be linked at all, or not there, because the
	// directory is another one by now.
	_ = p.Close()
	return d.Create(name, data)
}

func (p *osPrepared) publish(d *dir, name string, data []byte) error {
	if err := d.begin(); err != nil {
		return err
	}
	defer d.end()
	// It may be of a moment in which locks were short, and what is promised of a
	// file in this directory is more than it has.
	if kind, err := d.witnesses(); err != nil || p.f.locked < kind {
		return errMissing
	}
	if err := p.f.fill(data); err != nil {
		return err
	}
	return p.f.linkAs(d, name)
}

func (p *osPrepared) Close() error {
	f := p.f
	p.f = nil
	if f == nil {
		return nil
	}
	return f.Close()
}
