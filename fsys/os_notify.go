package fsys

import "errors"

func (d *osDir) Notify(name string) (<-chan struct{}, func(), error) {
	return nil, nil, pathError("notify", d.prefix+name, errors.ErrUnsupported)
}
