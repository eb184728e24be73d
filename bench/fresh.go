package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// A file system that is in use remembers what was done to it: an open(O_TMPFILE)
// takes ext4 from 7 to 100 µs, depending on the directory. So the measurements
// are made on file systems that are made for them.

// freshDirs mounts a new journalled ext4, whose image is in memory, and a new
// tmpfs. It returns their directories, and what unmounts them.
func freshDirs() (dirs []string, remove func()) {
	top, err := os.MkdirTemp("", "bench-fresh-")
	check(err)
	var mounted []string
	remove = func() {
		for i := len(mounted) - 1; i >= 0; i-- {
			check(unix.Unmount(mounted[i], 0))
		}
		check(os.RemoveAll(top))
	}
	mount := func(name string, args ...string) string {
		dir := filepath.Join(top, name)
		check(os.Mkdir(dir, 0o755))
		run("mount", append(args, dir)...)
		mounted = append(mounted, dir)
		return dir
	}
	memory := mount("tmpfs", "-t", "tmpfs", "-o", "nr_inodes=0", "tmpfs")
	image := filepath.Join(mount("image", "-t", "tmpfs", "tmpfs"), "ext4")
	check(os.WriteFile(image, nil, 0o600))
	check(os.Truncate(image, 2<<30))
	run("mkfs.ext4", "-q", "-F", "-N", "1200000", image)
	disk := mount("ext4", "-o", "loop", image)
	return []string{disk, memory}, remove
}

func run(name string, args ...string) {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		check(fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out))
	}
}

// load says how busy the machine is, apart from what is measured.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	check(err)
	return strings.Join(strings.Fields(string(text))[:3], " ")
}
