package fsys

import (
	"errors"
	"io/fs"
)

var _ Preparer = (*osDir)(nil)

// Prepare makes an unnamed file that lacks nothing but the right data and the
// name. Only Linux has such files; a temporary one would be seen, and could stay.
func (d *osDir) Prepare(size int) (Prepared, error) {
	if _, err := d.Witnesses(); err != nil {
		return nil, err
	}
	if d.way.Load() != byUnnamed {
		return nil, pathError("prepare", d.path, errors.ErrUnsupported)
	}
	f, err := d.unnamed()
	if err == nil {
		if err = f.fill(make([]byte, min(max(size, 0), MaxData))); err == nil {
			err = f.identify()
		}
		if err == nil {
			return &osPrepared{f}, nil
		}
		f.Close()
	}
	if err == errMissing {
		err = errors.ErrUnsupported
	}
	return nil, pathError("prepare", d.path, err)
}

type osPrepared struct{ f *osFile }

func (p *osPrepared) Create(name string, data []byte) (File, error) {
	d, path := p.f.d, p.f.d.prefix+name
	if validName(name) && len(data) <= MaxData && !p.f.closed {
		err := p.f.fill(data)
		if err == nil {
			err = p.f.linkAs(path)
		}
		switch {
		case err == nil:
			return p.f, nil
		case errors.Is(err, fs.ErrExist):
			return nil, pathError("create", path, err)
		}
	}
	// It is of no use: it cannot be linked at all, or not there, because the
	// directory is another one by now.
	_ = p.Close()
	return d.Create(name, data)
}

func (p *osPrepared) Close() error {
	if p.f.closed {
		return nil
	}
	return p.f.Close()
}
