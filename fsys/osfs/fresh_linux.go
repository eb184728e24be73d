package osfs

import "golang.org/x/sys/unix"

// refresh has a network file system ask its server about the directory. It answers
// from memory otherwise, for seconds: a file that another machine has removed
// still seems to be there, and the one that has its name now seems to be the old
// one. (The clients of NFS look at a name again once they know that its directory
// has changed; opening or asking for the file alone does not make them.)
func (h handle) refresh() error {
	var stx unix.Statx_t
	err := uninterrupted(func() error {
		return unix.Statx(h.fd, "", unix.AT_EMPTY_PATH|unix.AT_STATX_FORCE_SYNC, unix.STATX_BASIC_STATS, &stx)
	})
	if lacks(err) || err == unix.EPERM { // an old kernel, or a sandbox
		return nil
	}
	return err
}
