package lock

import (
	"errors"
	"io/fs"

	"github.com/dirlock/dirlock/fsys"
)

// claimed returns the claim of a waiting writer who is not known to be dead, if
// there is one, and removes those of the dead.
func (v *visit) claimed() (look, error) {
	sub, err := fsys.OpenSubdir(v.dir, claimsName)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fsys.ErrNotDirectory) {
		return look{}, nil
	}
	if err != nil {
		return look{}, err
	}
	defer sub.Close()
	claim, err := v.clear(sub, claimsName)
	var record *RecordError
	if errors.As(err, &record) {
		err = nil // a file of somebody else asks for nothing
	}
	if err == nil && claim.in == "" {
		_ = fsys.RemoveDir(v.dir, claimsName)
	}
	return claim, err
}

// claim publishes that we wait for readers, once. What goes wrong costs nothing but
// the precedence.
func (w *waiter) claim(blocker look) {
	if w.claims != nil || w.onlyLooks || w.shared || blocker.in != readersName {
		return
	}
	v, err := w.enter()
	if err != nil {
		return
	}
	w.mu.Lock()
	w.claims, err = v.publishClaim()
	w.mu.Unlock()
	if err != nil {
		v.leave()
	}
}

func (v *visit) publishClaim() (*hold, error) {
	for n := 0; ; n++ {
		if err := fsys.MakeDir(v.dir, claimsName); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		sub, err := fsys.OpenSubdir(v.dir, claimsName)
		if err == nil {
			var h *hold
			if h, err = v.createIn(sub); err == nil {
				return h, nil
			}
			_ = sub.Close()
		}
		// Somebody has removed the empty directory, again and again.
		if !errors.Is(err, fs.ErrNotExist) || n+1 == v.maxAttempts {
			_ = fsys.RemoveDir(v.dir, claimsName)
			return nil, err
		}
	}
}

// unclaim takes the claim back.
func (w *waiter) unclaim() {
	h := w.claims
	if h == nil {
		return
	}
	w.claims = nil
	for range 3 { // it would be in the way of readers for as long as we live
		if _, err := h.removeFrom(h.sub, h.owner.ID); err == nil {
			break
		}
	}
	h.letGo()
	_ = h.sub.Close()
	_ = fsys.RemoveDir(h.dir, claimsName)
	_ = h.dir.Close()
}
