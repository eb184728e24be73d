// Command database adds a line to a directory that one process at a time has open.
//
//	go run . DIR TEXT
package main

import (
	"errors"
	"log"
	"os"

	"github.com/dirlock/dirlock/lock"
)

type database struct {
	*os.File
	lock lock.ContextLocker
}

// open fails at once if another process has the database open, and says which.
func open(dir string) (*database, error) {
	l := lock.New(dir, lock.WithName(".db"), lock.WithMkdir()) // .db.L0 is no data
	if err := l.LockNow(); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(dir+"/log", os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	return &database{f, l}, err
}

func (db *database) Close() error { return errors.Join(db.File.Close(), db.lock.Unlock()) }

func main() {
	db, err := open(os.Args[1])
	if err == nil {
		_, err = db.WriteString(os.Args[2] + "\n")
		err = errors.Join(err, db.Close())
	}
	if err != nil {
		log.Fatal(err)
	}
}
