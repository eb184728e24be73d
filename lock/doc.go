// Package lock lets one process at a time own a directory.
//
// The lock is made of files inside that directory, its levels: L0, L1, L2 and
// so on. L0 holds the record of the owner. It appears whole or not at all, can
// be read with cat, and is removed by Unlock. When its owner dies, even by
// kill -9, the next TryLock or Lock notices and takes over; nobody has to clean
// up. The higher levels exist only while that happens.
//
//	l := lock.New("/var/lib/backup")
//	ok, err := l.TryLock()
//	if err != nil {
//		return err // the directory is missing, read-only, …
//	}
//	if !ok {
//		return errors.New("another backup is running")
//	}
//	defer func() {
//		err = errors.Join(err, l.Unlock()) // ErrLost: others may have been here, too
//	}()
//
// # What is excluded
//
// The lock works between goroutines, processes, users and containers on one
// kernel, and between machines that share a network file system, as long as all
// of them use this package: the lock is advisory. A live process of another
// machine never loses its lock. If one died there, nobody here can know it: the
// lock stays held until a process of that machine, or a person with
// [DirLock.Break], frees it.
//
// # When an owner is dead
//
// The owner record says which process of which boot and PID namespace made it.
// Where the system allows, the owner also keeps an operating system's lock on
// the file, which ends with its life and shows across containers. An owner that
// has let go of the file counts as dead, whether or not its process lives: a
// record that was copied, restored or moved is nobody's. An owner is dead when
// the evidence proves it, and alive in every case of doubt. Host names, the clock
// and the time zone are no evidence.
//
// # Where it can be used
//
// On any file system that can publish a whole file under a name that must not
// exist, read it, and remove it. Package lock reaches the file system and the
// process table through two small interfaces, [fsys.FS] and [proc.Table]. Tests
// inject packages memfs, a file system in memory, and proctest, which invents
// processes. Where the operating system or the file system cannot keep the
// promises, the methods return an error that matches [errors.ErrUnsupported].
//
// # Files of other programs
//
// A file that has the name of a level file and is not a record stays as it is:
// TryLock fails with a [RecordError]. The exception is a file that is empty, or
// holds only zeroes, or the beginning of a record: a power failure leaves such
// files, and the record counts as torn. On a local file system the next TryLock
// removes it and acquires the lock, and logs that as recovered. Where other
// machines can reach the directory, one of them may be about to write the file:
// it stays, and the lock counts as held, until a person removes the file. If
// another program has a file called L0 in the directory, use [WithName].
//
// # Losing the lock
//
// Nothing keeps other programs from removing the file, or the directory, of a live
// owner. The owner is told by [DirLock.Lost], a channel, or [DirLock.Held], a
// context; [WithLock] runs a function with such a context. [DirLock.Check] answers
// at once. If the directory is moved, replaced or mounted over, so that its name
// leads elsewhere, the lock is lost as well: others that use the name would not
// meet the holder.
//
// # Fencing
//
// A lock of files has no fencing token: no number that is greater for each owner
// than for all before it, by which a server could refuse what a former owner still
// sends. All that is in the directory can be removed, restored from a backup, or
// set back by a power failure, and then such a number would be given out twice.
// [Owner.ID] is unique, but has no order. On one machine little is missing, because
// an owner that is taken over from is dead. If you need the number, take it from a
// store that has one: etcd, whose go.etcd.io/etcd/client/v3/concurrency.Mutex has the
// revision of its key, or ZooKeeper, or Consul.
//
// # Misuse
//
// Programs that remove or change level files by themselves break the lock of a
// live owner. A program that closes descriptors which it did not open lets go of
// its lock. Do not fork without exec while holding the lock: both processes would
// count as the owner. Where files carry no lock of the operating system, do not
// use two copies of this package in one process (two C shared libraries, for
// example).
package lock
