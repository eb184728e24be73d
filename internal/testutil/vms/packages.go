package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// archive is one suite of Debian for one architecture. It is asked by apt, with
// lists of its own: nothing of this machine's configuration changes, and nothing
// is installed.
type archive struct {
	suite, arch string
	dir         string // lists, packages and what was unpacked of them
}

// openArchive gets the lists of a suite, if it was not done within a day.
func openArchive(ctx context.Context, cache, suite, arch string) (*archive, error) {
	a := &archive{suite, arch, filepath.Join(cache, suite+"-"+arch)}
	for _, d := range []string{"lists/partial", "cache/archives/partial", "debs"} {
		if err := os.MkdirAll(filepath.Join(a.dir, d), 0o755); err != nil {
			return nil, err
		}
	}
	mirror, err := mirrorOfThisMachine(ctx)
	if err != nil {
		return nil, err
	}
	sources := fmt.Sprintf("deb %s %s main\n", mirror, suite)
	if err := errors.Join(
		os.WriteFile(filepath.Join(a.dir, "sources.list"), []byte(sources), 0o644),
		os.WriteFile(filepath.Join(a.dir, "status"), nil, 0o644),
	); err != nil {
		return nil, err
	}
	done := filepath.Join(a.dir, "updated")
	if fi, err := os.Stat(done); err == nil && time.Since(fi.ModTime()) < 24*time.Hour {
		return a, nil
	}
	if _, err := a.apt(ctx, "apt-get", "-q", "update"); err != nil {
		return nil, err
	}
	return a, os.WriteFile(done, nil, 0o644)
}

// mirrorOfThisMachine returns the archive that this machine gets its packages
// from.
func mirrorOfThisMachine(ctx context.Context) (string, error) {
	out, err := output(ctx, "", "apt-get", "indextargets", "--format", "$(REPO_URI) $(ORIGIN) $(LABEL)", "Created-By: Packages")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(out) {
		if uri, label, _ := strings.Cut(strings.TrimSpace(line), " "); label == "Debian Debian" {
			return uri, nil
		}
	}
	return "", errors.New("apt knows no archive of Debian: run apt-get update first")
}

// suiteOfThisMachine returns the release of Debian that runs here, as "bookworm".
func suiteOfThisMachine() (string, error) {
	data, err := os.ReadFile("/etc/os-release")
	for line := range strings.Lines(string(data)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "VERSION_CODENAME="); ok {
			return strings.Trim(name, `"`), nil
		}
	}
	return "", errors.Join(errors.New("this is no release of Debian"), err)
}

func (a *archive) apt(ctx context.Context, program string, args ...string) (string, error) {
	file := func(name string) string { return filepath.Join(a.dir, name) }
	return output(ctx, file("debs"), program, append([]string{
		"-o", "APT::Architecture=" + a.arch, "-o", "APT::Architectures=" + a.arch,
		"-o", "Dir::State=" + a.dir, "-o", "Dir::State::lists=" + file("lists"), "-o", "Dir::State::status=" + file("status"),
		"-o", "Dir::Cache=" + file("cache"), "-o", "Dir::Etc::sourcelist=" + file("sources.list"), "-o", "Dir::Etc::sourceparts=-",
		"-o", "APT::Sandbox::User=root", "-o", "Acquire::Languages=none", "-o", "Acquire::Retries=3",
	}, args...)...)
}

// unpack downloads packages, with the libraries that they depend on, and unpacks
// them into a directory, which it returns.
func (a *archive) unpack(ctx context.Context, name string, packages ...string) (string, error) {
	root := filepath.Join(a.dir, name)
	done := filepath.Join(root, ".complete")
	want := strings.Join(packages, " ")
	if got, err := os.ReadFile(done); err == nil && string(got) == want {
		return root, nil
	}
	if err := os.RemoveAll(root); err != nil {
		return "", err
	}
	if err := os.MkdirAll(root, 0o755); err != nil {
		return "", err
	}
	all, err := a.withLibraries(ctx, packages)
	if err != nil {
		return "", err
	}
	for _, p := range all {
		deb, err := a.download(ctx, p)
		if err != nil {
			return "", err
		}
		if _, err := output(ctx, "", "dpkg-deb", "-x", deb, root); err != nil {
			return "", err
		}
	}
	return root, os.WriteFile(done, []byte(want), 0o644)
}

// download gets a package, unless it is there.
func (a *archive) download(ctx context.Context, name string) (string, error) {
	dir := filepath.Join(a.dir, "debs", strings.ReplaceAll(name, ":", "_"))
	if debs, _ := filepath.Glob(filepath.Join(dir, "*.deb")); len(debs) == 1 {
		return debs[0], nil
	}
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755)); err != nil {
		return "", err
	}
	// apt-get downloads to the working directory.
	before, _ := filepath.Glob(filepath.Join(a.dir, "debs", "*.deb"))
	for _, old := range before {
		_ = os.Remove(old)
	}
	if _, err := a.apt(ctx, "apt-get", "-q", "download", name); err != nil {
		return "", err
	}
	debs, _ := filepath.Glob(filepath.Join(a.dir, "debs", "*.deb"))
	if len(debs) != 1 {
		return "", fmt.Errorf("%s: downloaded %q", name, debs)
	}
	deb := filepath.Join(dir, filepath.Base(debs[0]))
	return deb, os.Rename(debs[0], deb)
}

// withLibraries adds the packages of libraries that the given ones depend on.
func (a *archive) withLibraries(ctx context.Context, packages []string) ([]string, error) {
	out, err := a.apt(ctx, "apt-cache", append([]string{"depends", "--important", "--recurse"}, packages...)...)
	if err != nil {
		return nil, err
	}
	needs := map[string][]string{}
	name := ""
	for line := range strings.Lines(out) {
		line = strings.TrimRight(line, "\n")
		if !strings.HasPrefix(line, " ") {
			name = line
			continue
		}
		kind, dep, _ := strings.Cut(strings.Trim(line, " |"), ": ")
		if (kind == "Depends" || kind == "PreDepends") && strings.HasPrefix(dep, "lib") {
			needs[name] = append(needs[name], dep)
		}
	}
	all := slices.Clone(packages)
	for i := 0; i < len(all); i++ {
		for _, dep := range needs[all[i]] {
			if !slices.Contains(all, dep) {
				all = append(all, dep)
			}
		}
	}
	return all, nil
}

// kernelPackage returns the name of the package of a kernel, by that of one that
// only depends on it.
func (a *archive) kernelPackage(ctx context.Context, meta string) (string, error) {
	out, err := a.apt(ctx, "apt-cache", "depends", meta)
	if err != nil {
		return "", err
	}
	sc := bufio.NewScanner(strings.NewReader(out))
	for sc.Scan() {
		if name, ok := strings.CutPrefix(strings.TrimSpace(sc.Text()), "Depends: linux-image-"); ok {
			return "linux-image-" + name, nil
		}
	}
	return "", fmt.Errorf("%s: depends on no kernel", meta)
}

// output runs a program and returns what it prints.
func output(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	var errs bytes.Buffer
	cmd.Stderr = &errs
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", cmd, err, bytes.TrimSpace(errs.Bytes()))
	}
	return string(out), nil
}

// exists tells whether a path leads to something.
func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}
