// Command daemon runs once per directory, until a signal or the loss of its lock.
//
//	go run . DIR
package main

import (
	"context"
	"errors"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/dirlock/dirlock/lock"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// At a restart the former one may still be about to end.
	starting, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	l := lock.New(os.Args[1], lock.WithMkdir(), lock.WithLabel("daemon"))
	if err := l.LockContext(starting); err != nil {
		log.Fatal(err) // says who has it, since when, and what to do
	}
	held, done := l.Held(ctx)
	defer done()
	if err := errors.Join(serve(held, os.Args[1]), l.Unlock()); err != nil {
		log.Fatal(err)
	}
}

func serve(ctx context.Context, dir string) error {
	log.Print("serving ", dir)
	for ctx.Err() == nil { // neither a signal, nor is the lock lost
		if err := os.WriteFile(filepath.Join(dir, "alive"), nil, 0o644); err != nil {
			return err
		}
		sleep, cancel := context.WithTimeout(ctx, time.Second)
		<-sleep.Done()
		cancel()
	}
	return nil
}
