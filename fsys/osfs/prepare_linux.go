package osfs

import (
	"errors"
	"io/fs"

	"github.com/dirlock/dirlock/fsys"
)

var _ fsys.Preparer = (*osDir)(nil)

// Prepare makes an unnamed file that lacks nothing but the right data and the
// name. Only Linux has such files; a temporary one would be seen, and could stay.
func (d *osDir) Prepare(size int) (fsys.Prepared, error) {
	if _, err := d.witnessesOnce(); err != nil {
		return nil, err
	}
	if d.way.Load() != byUnnamed {
		return nil, pathError("prepare", d.path, errors.ErrUnsupported)
	}
	f, err := d.unnamed(make([]byte, min(max(size, 0), fsys.MaxData)))
	if err == errMissing {
		err = errors.ErrUnsupported
	}
	if err != nil {
		return nil, pathError("prepare", d.path, err)
	}
	return &osPrepared{f}, nil
}

type osPrepared struct {
	f *osFile // nil when it is used up
}

func (p *osPrepared) CreateIn(dir fsys.Dir, name string, data []byte) (fsys.File, error) {
	d, ok := dir.(*osDir)
	if ok && p.f != nil && validName(name) && len(data) <= fsys.MaxData {
		path := d.prefix + name
		err := p.f.fill(data)
		if err == nil {
			err = p.f.linkAs(path)
		}
		switch {
		case err == nil:
			f := p.f
			p.f, f.d = nil, d
			return f, nil
		case errors.Is(err, fs.ErrExist):
			return nil, pathError("create", path, err)
		}
	}
	// It is of no use: it cannot be linked at all, or not there, because the
	// directory is another one by now.
	_ = p.Close()
	return dir.Create(name, data)
}

func (p *osPrepared) Close() error {
	f := p.f
	p.f = nil
	if f == nil {
		return nil
	}
	return f.Close()
}
