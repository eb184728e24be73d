package main

import (
	"debug/buildinfo"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// licenses returns those of all that a binary is made of, one after the other.
func (r *release) licenses(info *buildinfo.BuildInfo) ([]byte, error) {
	goroot, err := output(r.src, nil, "go", "env", "GOROOT")
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	add := func(name, dir string) error {
		found, err := filepath.Glob(filepath.Join(dir, "LICENSE*"))
		if err != nil || len(found) == 0 {
			return fmt.Errorf("no license of %s in %s: %w", name, dir, err)
		}
		for _, path := range found {
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, "=== %s\n\n%s\n\n", name, strings.TrimSpace(string(text)))
		}
		return nil
	}
	if err := add(info.Main.Path, r.src); err != nil {
		return nil, err
	}
	if err := add("Go", strings.TrimSpace(goroot)); err != nil {
		return nil, err
	}
	for _, dep := range info.Deps {
		dir, err := output(r.src, []string{"GOFLAGS=-mod=mod"}, "go", "list", "-m", "-f", "{{.Dir}}", dep.Path)
		if err != nil {
			return nil, err
		}
		if err := add(dep.Path+" "+dep.Version, strings.TrimSpace(dir)); err != nil {
			return nil, err
		}
	}
	return []byte(b.String()), nil
}
