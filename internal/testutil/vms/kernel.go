package main

import (
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// kernel is one that was unpacked.
type kernel struct {
	version string
	image   string
	modules map[string]string // files by the names of modules
}

// getKernel downloads and unpacks the kernel of a package, which may be one that
// only depends on it.
func getKernel(ctx context.Context, a *archive, meta string) (*kernel, error) {
	name, err := a.kernelPackage(ctx, meta)
	if err != nil {
		return nil, err
	}
	root, err := a.unpack(ctx, name, name)
	if err != nil {
		return nil, err
	}
	images, _ := filepath.Glob(filepath.Join(root, "boot", "vmlinu*"))
	dirs, _ := filepath.Glob(filepath.Join(root, "lib", "modules", "*"))
	if len(dirs) == 0 {
		dirs, _ = filepath.Glob(filepath.Join(root, "usr", "lib", "modules", "*"))
	}
	if len(images) != 1 || len(dirs) != 1 {
		return nil, fmt.Errorf("%s: kernels %q, modules %q", name, images, dirs)
	}
	k := &kernel{filepath.Base(dirs[0]), images[0], map[string]string{}}
	return k, filepath.WalkDir(dirs[0], func(path string, e fs.DirEntry, err error) error {
		if name, _, ok := strings.Cut(filepath.Base(path), ".ko"); ok && err == nil {
			k.modules[moduleName(name)] = path
		}
		return err
	})
}

// moduleName is what the kernel calls a module.
func moduleName(file string) string { return strings.ReplaceAll(file, "-", "_") }

// withDependencies returns the modules that must be loaded, in this order, to have
// the given ones. What the kernel has no module for, it has built in, or lacks.
func (k *kernel) withDependencies(ctx context.Context, names ...string) (all []string, err error) {
	for _, name := range names {
		name = moduleName(name)
		if k.modules[name] == "" || slices.Contains(all, name) {
			continue
		}
		needs, err := k.needs(ctx, name)
		if err != nil {
			return nil, err
		}
		deps, err := k.withDependencies(ctx, needs...)
		if err != nil {
			return nil, err
		}
		for _, d := range append(deps, name) {
			if !slices.Contains(all, d) {
				all = append(all, d)
			}
		}
	}
	return all, nil
}

// needs returns the modules that one says it needs.
func (k *kernel) needs(ctx context.Context, name string) (names []string, err error) {
	data, err := k.module(ctx, name)
	if err != nil {
		return nil, err
	}
	f, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("module %s: %w", name, err)
	}
	info, err := f.Section(".modinfo").Data()
	if err != nil {
		return nil, fmt.Errorf("module %s: %w", name, err)
	}
	for line := range strings.SplitSeq(string(info), "\x00") {
		key, value, _ := strings.Cut(line, "=")
		switch {
		case key == "depends" && value != "":
			names = append(names, strings.Split(value, ",")...)
		case key == "softdep" && strings.HasPrefix(value, "pre: "):
			names = append(names, strings.Fields(value)[1:]...)
		}
	}
	return names, nil
}

// module returns the content of a module.
func (k *kernel) module(ctx context.Context, name string) ([]byte, error) {
	path := k.modules[name]
	switch filepath.Ext(path) {
	case ".ko":
		return os.ReadFile(path)
	case ".xz":
		out, err := output(ctx, "", "xz", "-dc", path)
		return []byte(out), err
	case ".zst":
		out, err := output(ctx, "", "zstd", "-dcq", path)
		return []byte(out), err
	}
	return nil, errors.New(path + ": packed in an unknown way")
}
