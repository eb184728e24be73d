// Dist builds what a release consists of, from the commit that is checked out:
// archives with static binaries, .deb and .rpm packages, a bill of materials for
// each binary, and checksums of all of them.
//
//	dist OUT [SYSTEM...] // SYSTEM is like linux/amd64; all by default
//
// The directory OUT is replaced.
//
// The same commit and the same Go give the same bytes, wherever and whenever they
// are built: all times are the commit's, and nothing of this machine gets in. The
// version is what the go command says of the commit: that of its tag, if it has
// one.
package main

import (
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// systems are those of which docs/platforms.md says that the dead are found.
var systems = []string{
	"darwin/amd64", "darwin/arm64",
	"freebsd/amd64", "freebsd/arm64",
	"linux/386", "linux/amd64", "linux/arm", "linux/arm64",
	"netbsd/amd64", "openbsd/amd64",
	"windows/amd64", "windows/arm64",
}

type release struct {
	root    string    // the repository
	src     string    // a clone of it, with nothing but the commit
	out     string    // where the results go
	version string    // as in 0.1.0
	time    time.Time // of the commit
	common  []file    // what goes into every archive
}

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: dist OUT [SYSTEM...]")
		os.Exit(2)
	}
	wanted := os.Args[2:]
	if len(wanted) == 0 {
		wanted = systems
	}
	for _, system := range wanted {
		if !slices.Contains(systems, system) {
			fmt.Fprintf(os.Stderr, "dist: no system %q: want some of %v\n", system, systems)
			os.Exit(2)
		}
	}
	if err := run(os.Args[1], wanted); err != nil {
		fmt.Fprintln(os.Stderr, "dist:", err)
		os.Exit(1)
	}
}

func run(out string, wanted []string) error {
	tmp, err := os.MkdirTemp("", "dist")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	r := release{src: filepath.Join(tmp, "src")}
	if r.out, err = filepath.Abs(out); err != nil {
		return err
	}
	if err := r.clone(); err != nil {
		return err
	}
	if err := os.RemoveAll(r.out); err != nil {
		return err
	}
	if err := os.MkdirAll(r.out, 0o777); err != nil {
		return err
	}
	if err := r.document(tmp); err != nil {
		return err
	}
	for _, system := range wanted {
		fmt.Println(r.version, system)
		goos, goarch, _ := strings.Cut(system, "/")
		if err := r.build(tmp, goos, goarch); err != nil {
			return fmt.Errorf("%s: %w", system, err)
		}
	}
	return r.checksums()
}

// clone makes src, so that what is not committed stays out, and the go command
// sees a repository of its own, of whatever kind ours is.
func (r *release) clone() error {
	root, err := output(".", nil, "git", "rev-parse", "--show-toplevel")
	if err != nil {
		return err
	}
	r.root = strings.TrimSpace(root)
	if _, err := output(r.root, nil, "git", "clone", "--quiet", r.root, r.src); err != nil {
		return err
	}
	commit, err := output(r.root, nil, "git", "rev-parse", "HEAD")
	if err != nil {
		return err
	}
	if _, err := output(r.src, nil, "git", "checkout", "--quiet", "--detach", strings.TrimSpace(commit)); err != nil {
		return err
	}
	seconds, err := output(r.src, nil, "git", "log", "-1", "--format=%ct")
	if err != nil {
		return err
	}
	n, err := strconv.ParseInt(strings.TrimSpace(seconds), 10, 64)
	r.time = time.Unix(n, 0).UTC()
	return err
}

// compile builds the command, for this machine if no system is given.
func (r *release) compile(binary string, env ...string) error {
	env = append([]string{"CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off"}, env...)
	_, err := output(r.src, env, "go", "build", "-buildvcs=true", "-trimpath", "-ldflags=-s -w", "-o", binary, "./cmd/dirlock")
	return err
}

// document finds out the version, and has the command write its manual page and
// its completions.
func (r *release) document(tmp string) error {
	binary := filepath.Join(tmp, "here")
	if err := r.compile(binary); err != nil {
		return err
	}
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return err
	}
	r.version = strings.TrimPrefix(info.Main.Version, "v")
	if r.version == "" || r.version[0] < '0' || r.version[0] > '9' {
		return fmt.Errorf("the go command gives this commit the version %q", info.Main.Version)
	}
	for _, doc := range []struct {
		name string
		args []string
	}{
		{"dirlock.1", []string{"man"}},
		{"completions/dirlock.bash", []string{"completion", "bash"}},
		{"completions/dirlock.fish", []string{"completion", "fish"}},
		{"completions/_dirlock", []string{"completion", "zsh"}},
	} {
		text, err := output(r.src, nil, binary, doc.args...)
		if err != nil {
			return err
		}
		r.common = append(r.common, file{doc.name, []byte(text), 0o644})
	}
	for _, name := range []string{"CHANGELOG.md", "README.md"} {
		text, err := os.ReadFile(filepath.Join(r.src, name))
		if err != nil {
			return err
		}
		r.common = append(r.common, file{name, text, 0o644})
	}
	return nil
}

// build makes what there is for one system.
func (r *release) build(tmp, goos, goarch string) error {
	name := "dirlock"
	if goos == "windows" {
		name += ".exe"
	}
	binary := filepath.Join(tmp, name)
	if err := r.compile(binary, "GOOS="+goos, "GOARCH="+goarch, "GOARM=6"); err != nil {
		return err
	}
	content, err := os.ReadFile(binary)
	if err != nil {
		return err
	}
	base := filepath.Join(r.out, fmt.Sprintf("dirlock_%s_%s_%s", r.version, goos, goarch))
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return err
	}
	bill, err := r.bill(info, content)
	if err != nil {
		return err
	}
	licenses, err := r.licenses(info)
	if err != nil {
		return err
	}
	if err := os.WriteFile(base+".cdx.json", bill, 0o666); err != nil {
		return err
	}
	files := append([]file{{name, content, 0o755}, {"LICENSES", licenses, 0o644}}, r.common...)
	if goos == "windows" {
		return r.zip(base+".zip", files)
	}
	if err := r.tarGz(base+".tar.gz", files); err != nil || goos != "linux" {
		return err
	}
	return r.packages(tmp, goarch, files)
}

// packages makes the .deb and the .rpm, by packaging/nfpm.yaml.
func (r *release) packages(tmp, goarch string, files []file) error {
	stage := filepath.Join(tmp, "stage")
	for _, f := range files {
		path := filepath.Join(stage, f.name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			return err
		}
		content := f.content
		switch f.name {
		case "dirlock.1", "CHANGELOG.md": // as distributions have them
			path += ".gz"
			var b bytes.Buffer
			if err := gzipTo(&b, f.content); err != nil {
				return err
			}
			content = b.Bytes()
		}
		if err := os.WriteFile(path, content, 0o666); err != nil {
			return err
		}
	}
	if goarch == "arm" {
		goarch = "arm6"
	}
	env := []string{
		"GOFLAGS=", "STAGE=" + stage, "VERSION=" + r.version, "PACKAGE_ARCH=" + goarch,
		fmt.Sprintf("SOURCE_DATE_EPOCH=%d", r.time.Unix()),
	}
	for _, kind := range []string{"deb", "rpm"} {
		_, err := output(r.src, env, "go", "tool", "-modfile=tools/nfpm/go.mod", "nfpm", "package",
			"--config", "packaging/nfpm.yaml", "--packager", kind, "--target", r.out+"/")
		if err != nil {
			return err
		}
	}
	return nil
}

// checksums writes SHA256SUMS, for sha256sum -c.
func (r *release) checksums() error {
	entries, err := os.ReadDir(r.out) // sorted
	if err != nil {
		return err
	}
	var sums strings.Builder
	for _, e := range entries {
		content, err := os.ReadFile(filepath.Join(r.out, e.Name()))
		if err != nil {
			return err
		}
		fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256(content), e.Name())
	}
	return os.WriteFile(filepath.Join(r.out, "SHA256SUMS"), []byte(sums.String()), 0o666)
}

// output runs a command in a directory, and returns what it writes. What it
// complains about is in the error.
func output(dir string, env []string, name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w: %s%s", cmd, err, complaint.String(), out.String())
	}
	return out.String(), nil
}
