package fsys

import (
	"path/filepath"
	"strings"

	"golang.org/x/sys/windows"
)

// targetKey is the path of a directory.
type targetKey string

// targetOf says what to watch for the file of that path: its directory.
func targetOf(path string) (string, targetKey, error) {
	attrs, err := attributes(path)
	if err != nil {
		return "", "", err
	}
	if attrs&(windows.FILE_ATTRIBUTE_DIRECTORY|windows.FILE_ATTRIBUTE_REPARSE_POINT) != 0 {
		return "", "", ErrNotRegular
	}
	dir := filepath.Dir(path)
	return dir, targetKey(dir), nil
}

// watchedBy says which watch an event comes from.
func watchedBy(name string) string { return filepath.Dir(name) }

// concerns reports whether an event with that name is about that file.
func concerns(name, path string) bool { return strings.EqualFold(name, path) }
