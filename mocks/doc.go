// Package mocks has no code of its own. It is the home of the mocks of this
// module's interfaces, in two styles, each a package that is generated and
// never edited:
//
//   - [github.com/dirlock/dirlock/mocks/gomocks]: typed mocks of every interface
//     of packages lock, fsys and proc, for go.uber.org/mock. The mock of an
//     interface X is MockX.
//   - [github.com/dirlock/dirlock/mocks/testifymocks]: mocks of
//     lock.TryLocker and lock.TryLockerSafe, for github.com/stretchr/testify.
//
// A program that takes a lock.TryLockerSafe is tested with either. For a lock
// that really locks, in a test without a disk, there is something better than
// mocks of the file system and the process table: package aferofs over an
// in-memory file system, and proctest.Fake.
//
// To add an interface, name it below or in .mockery.yaml, and run
// `make generate`.
package mocks

//go:generate go tool -modfile=../tools/go.mod mockgen -typed -write_command_comment=false -package=gomocks -destination=gomocks/lock.go github.com/dirlock/dirlock/lock TryLocker,TryLockerSafe
//go:generate go tool -modfile=../tools/go.mod mockgen -typed -write_command_comment=false -package=gomocks -destination=gomocks/fsys.go github.com/dirlock/dirlock/fsys FS,Dir,File,Wrapper,Opener,OpenDir,Witnesser,Localizer,Watcher,Preparer,Prepared,Sweeper
//go:generate go tool -modfile=../tools/go.mod mockgen -typed -write_command_comment=false -package=gomocks -destination=gomocks/proc.go github.com/dirlock/dirlock/proc Table,Notifier
