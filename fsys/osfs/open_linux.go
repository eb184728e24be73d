package osfs

import "golang.org/x/sys/unix"

// openDirectory takes no permission but to reach the directory. What is found by
// way of the descriptor takes the permissions that it takes by a path.
func openDirectory(at int, path string, flags int) (int, error) {
	return openat(at, path, unix.O_PATH|unix.O_DIRECTORY|flags, 0)
}
