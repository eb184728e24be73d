package aferofs_test

import (
	"errors"
	"fmt"

	"github.com/spf13/afero"

	"github.com/dirlock/dirlock/fsys/aferofs"
	"github.com/dirlock/dirlock/lock"
)

// A program whose files are on an afero file system has its lock there, too. One
// that does not promise atomic operations is refused.
func ExampleNew() {
	disk := afero.NewMemMapFs()
	if err := disk.MkdirAll("/srv/data", 0o755); err != nil {
		fmt.Println(err)
	}
	view := afero.NewBasePathFs(disk, "/srv")
	a := lock.New("/srv/data", lock.WithFS(aferofs.New(disk)))
	b := lock.New("data", lock.WithFS(aferofs.New(view)))
	fmt.Println(a.TryLock())
	fmt.Println(b.TryLock())
	fmt.Println(a.Unlock())

	_, err := lock.New("data", lock.WithFS(aferofs.New(afero.NewReadOnlyFs(disk)))).TryLock()
	fmt.Println(errors.Is(err, errors.ErrUnsupported))
	// Output:
	// true <nil>
	// false <nil>
	// <nil>
	// true
}
