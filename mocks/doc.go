// Package mocks has no code of its own. It is the home of the mocks of this
// module's interfaces, in two styles, each a package that is generated and
// never edited:
//
//   - [github.com/dirlock/dirlock/mocks/gomocks]: typed mocks of every interface
//     of packages lock, fsys and proc, for go.uber.org/mock. The mock of an
//     interface X is MockX.
//   - [github.com/dirlock/dirlock/mocks/testifymocks]: mocks of
//     lock.TryLocker, lock.TryLockerSafe and lock.ContextLocker, for
//     github.com/stretchr/testify.
//
// A program that takes a lock.TryLockerSafe or a lock.ContextLocker is tested with
// either. For a lock that really locks, in a test without a disk, there is
// something better than mocks of the file system and the process table: package
// memfs, a file system in memory, and proctest.Fake.
//
// To add an interface, name it below or in .mockery.yaml, and run
// `make generate`.
package mocks

//go:generate go tool -modfile=../tools/go.mod mockgen -typed -write_command_comment=false -write_package_comment=false -package=gomocks -destination=gomocks/lock.go github.com/dirlock/dirlock/lock TryLocker,TryLockerSafe,ContextLocker
//go:generate go tool -modfile=../tools/go.mod mockgen -typed -write_command_comment=false -write_package_comment=false -package=gomocks -destination=gomocks/fsys.go github.com/dirlock/dirlock/fsys FS,Dir,File,Inheritor,Wrapper,Opener,Peeker,OpenDir,Maker,Witnesser,Localizer,Watcher,Preparer,Prepared,Sweeper,PartSweeper,Nester,Subdir,Remover,Swapper,Tokener,Ender,Contexter,Queuer,Placer,MoveWatcher,Liner,Spot
//go:generate go tool -modfile=../tools/go.mod mockgen -typed -write_command_comment=false -write_package_comment=false -package=gomocks -destination=gomocks/proc.go github.com/dirlock/dirlock/proc Table,Notifier
