// Command database adds a line to a directory that one process at a time writes to,
// or prints it, as many may do at once.
//
//	go run . DIR TEXT
//	go run . DIR
package main

import (
	"errors"
	"io"
	"log"
	"os"

	"github.com/dirlock/dirlock/lock"
)

type database struct {
	*os.File
	unlock func() error
}

// open fails at once if another process has the database open, and says which. To
// read it waits, for a writer only.
func open(dir string, flag int) (db *database, err error) {
	l := lock.New(dir, lock.WithName(".db"), lock.WithMkdir()) // .db.L0 is no data
	db = &database{unlock: l.Unlock}
	if flag == os.O_RDONLY {
		db.unlock, err = l.RUnlock, l.RLock()
	} else {
		err = l.LockNow()
	}
	if err == nil {
		db.File, err = os.OpenFile(dir+"/log", flag, 0o644)
	}
	return db, err
}

func (db *database) Close() error { return errors.Join(db.File.Close(), db.unlock()) }

func main() {
	flag := os.O_RDONLY
	if len(os.Args) > 2 {
		flag = os.O_APPEND | os.O_CREATE | os.O_WRONLY
	}
	db, err := open(os.Args[1], flag)
	if err == nil {
		if flag == os.O_RDONLY {
			_, err = io.Copy(os.Stdout, db)
		} else {
			_, err = db.WriteString(os.Args[2] + "\n")
		}
		err = errors.Join(err, db.Close())
	}
	if err != nil {
		log.Fatal(err)
	}
}
